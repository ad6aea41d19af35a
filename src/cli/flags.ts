import { Flags } from '@oclif/core';
import { PROVIDER_IDS, type ProviderId } from '../domain/target.ts';

/*
 * Flags that several commands share. Each has its CLOUDTUN_* variable (spec section 4: flags over environment over files). None
 * has an oclif default: a value that nobody gave must stay undefined, so that the catalogue can speak.
 */

/** For every command. */
export const GLOBAL_FLAGS = {
  json: Flags.boolean({ description: 'results as JSON', env: 'CLOUDTUN_JSON', helpGroup: 'GLOBAL' }),
  quiet: Flags.boolean({
    char: 'q',
    description: 'results and errors only',
    env: 'CLOUDTUN_QUIET',
    helpGroup: 'GLOBAL',
    exclusive: ['verbose'],
  }),
  verbose: Flags.boolean({
    char: 'v',
    description: 'say what is done and how long it takes; twice for more',
    env: 'CLOUDTUN_VERBOSE',
    helpGroup: 'GLOBAL',
  }),
  'no-input': Flags.boolean({
    description: 'never ask; fail instead (also where CI is set)',
    env: 'CLOUDTUN_NO_INPUT',
    helpGroup: 'GLOBAL',
  }),
};

/** Where to look on AWS. */
export const AWS_FLAGS = {
  profile: Flags.string({
    aliases: ['aws-profile'],
    description: 'AWS profile',
    env: 'CLOUDTUN_PROFILE',
    helpValue: 'NAME',
  }),
  region: Flags.string({
    aliases: ['aws-region'],
    description: 'AWS region',
    env: 'CLOUDTUN_REGION',
    helpValue: 'NAME',
  }),
};

/** Where to look on Google Cloud. */
export const GCP_FLAGS = {
  project: Flags.string({
    description: 'Google Cloud project',
    env: 'CLOUDTUN_PROJECT',
    helpValue: 'ID',
  }),
  zone: Flags.string({
    description: 'Google Cloud zone',
    env: 'CLOUDTUN_ZONE',
    helpValue: 'NAME',
  }),
};

/** For every command that may ask any cloud. */
export const SELECTION_FLAGS = { ...AWS_FLAGS, ...GCP_FLAGS };

/** For `targets` and `login`; elsewhere a prefix of the target says it. */
export const CLOUD_FLAG = {
  cloud: Flags.string({
    description: 'this cloud only (default: every one that is set up)',
    env: 'CLOUDTUN_CLOUD',
    options: [...PROVIDER_IDS],
  }),
};

/** For every command that may start a session with a document of the user's own. */
export const DOCUMENT_FLAG = {
  document: Flags.string({
    description: 'Session document to start the session with (AWS)',
    env: 'CLOUDTUN_DOCUMENT',
    helpValue: 'NAME',
  }),
};

const VIA = {
  description: 'a machine to go through, [USER@]MACHINE[:PORT]; again, or with commas, for the next one behind it',
  env: 'CLOUDTUN_VIA',
  helpValue: 'HOP',
  multiple: true,
  multipleNonGreedy: true,
} as const;

/** For every command that may go through other machines. */
export const VIA_FLAG = { via: Flags.string(VIA) };

/** The same under the letter that ssh has for it. */
export const JUMP_FLAG = { via: Flags.string({ ...VIA, char: 'J' }) };

/** The hops of VIA_FLAG, from here outwards. */
export function hopsOf(value: string | readonly string[] | undefined): readonly string[] | undefined {
  return listOf(value)
    ?.flatMap((each) => each.split(','))
    .map((each) => each.trim());
}

/** For every command that opens a tunnel in the foreground; the flags of its clouds stand before them. */
export const TUNNEL_FLAGS = {
  bind: Flags.string({
    description: 'local address, may be repeated (default: 127.0.0.1 and ::1)',
    env: 'CLOUDTUN_BIND',
    helpValue: 'ADDRESS',
    multiple: true,
    multipleNonGreedy: true,
  }),
  ttl: Flags.string({
    description: 'close after this time, or none (default: 8h)',
    env: 'CLOUDTUN_TTL',
    helpValue: 'TIME',
  }),
  idle: Flags.string({
    description: 'close after this time without a connection, or none (default: none)',
    env: 'CLOUDTUN_IDLE',
    helpValue: 'TIME',
  }),
  'max-bytes': Flags.string({
    description: 'close when this much went through, both ways together, or none (default: none)',
    env: 'CLOUDTUN_MAX_BYTES',
    helpValue: 'SIZE',
  }),
  grace: Flags.string({
    description: 'how long open connections may take to end (default: 30s)',
    env: 'CLOUDTUN_GRACE',
    helpValue: 'TIME',
  }),
  sessions: Flags.string({
    description: 'spread connections over this many sessions (AWS), 1 to 8, or auto (default: 1)',
    env: 'CLOUDTUN_SESSIONS',
    helpValue: 'COUNT',
  }),
  'keep-active': Flags.boolean({
    description: 'keep sessions that nobody uses from ending (AWS); the policy may forbid it',
    env: 'CLOUDTUN_KEEP_ACTIVE',
  }),
  reason: Flags.string({
    description: "why you connect; kept in the journal and in the cloud's record of the session",
    env: 'CLOUDTUN_REASON',
    helpValue: 'TEXT',
  }),
  explain: Flags.boolean({
    description: 'show route and permissions; open nothing',
    env: 'CLOUDTUN_EXPLAIN',
  }),
  fresh: Flags.boolean({
    description: 'a tunnel of its own, also where one is held in the background',
    env: 'CLOUDTUN_FRESH',
  }),
  'no-probe': Flags.boolean({
    description: 'do not wait for the far side to answer',
    env: 'CLOUDTUN_NO_PROBE',
  }),
};

/** For every command that serves until it is told to end: what programs around it may look at. */
export const MONITOR_FLAGS = {
  'ready-file': Flags.string({
    description: 'write this file when everything is ready, and remove it at the end',
    env: 'CLOUDTUN_READY_FILE',
    helpValue: 'PATH',
  }),
  serve: Flags.string({
    description: 'serve /healthz, /readyz and /metrics over HTTP (a port alone: on 127.0.0.1)',
    env: 'CLOUDTUN_SERVE',
    helpValue: '[ADDRESS:]PORT',
  }),
  'log-format': Flags.string({
    description: 'how stderr is written (default: text)',
    env: 'CLOUDTUN_LOG_FORMAT',
    options: ['text', 'json'],
  }),
};

/** A flag that may be repeated: oclif gives a list, but the bare text where it came from the environment (commas separate there). */
export function listOf(value: string | readonly string[] | undefined): readonly string[] | undefined {
  return typeof value === 'string' ? value.split(',').map((item) => item.trim()) : value;
}

/** What `--cloud` says, which oclif has checked. */
export function cloudOf(flag: string | undefined): ProviderId | undefined {
  return PROVIDER_IDS.find((id) => id === flag);
}

import { parseArgs } from 'node:util';
import { CloudtunError, systemCode } from '../domain/errors.ts';
import { PROVIDER_IDS } from '../domain/target.ts';
import type { Environment } from '../runtime/world.ts';

/** What `proxy` was told, its `CLOUDTUN_*` variables already behind it. */
export interface ProxyArguments {
  /** A TARGET: without the `user@` and the `.cloudtun` that an SSH client may leave on it. */
  readonly target: string;
  /** As it was typed: `ssh-config` names files by it. */
  readonly host: string;
  readonly port: number;
  readonly profile: string | undefined;
  readonly region: string | undefined;
  readonly project: string | undefined;
  readonly zone: string | undefined;
  /** Machines to go through, from here outwards. */
  readonly via: readonly string[] | undefined;
  readonly reason: string | undefined;
  readonly document: string | undefined;
  /** The login that `ssh` is about to ask for: a key is let in for it, and kept in an agent. */
  readonly login: string | undefined;
  /** Where `ssh` looks for that agent, and for host keys. */
  readonly sshFiles: string | undefined;
  /** Where to look for cloudtun.yaml instead of the working directory. */
  readonly catalogue: string | undefined;
}

const OPTIONS = {
  profile: { type: 'string' },
  'aws-profile': { type: 'string' },
  region: { type: 'string' },
  'aws-region': { type: 'string' },
  project: { type: 'string' },
  zone: { type: 'string' },
  via: { type: 'string', multiple: true },
  reason: { type: 'string' },
  document: { type: 'string' },
  login: { type: 'string', short: 'l' },
  'ssh-files': { type: 'string' },
  catalogue: { type: 'string' },
  json: { type: 'boolean' },
  quiet: { type: 'boolean', short: 'q' },
  verbose: { type: 'boolean', short: 'v', multiple: true },
  'no-input': { type: 'boolean' },
} as const;

/** The long names, for the test that compares them with those of the command. */
export const PROXY_OPTIONS: readonly string[] = Object.keys(OPTIONS);

const LARGEST_PORT = 65_535;
const HELP = 'see: cloudtun proxy --help';

/**
 * Reads the words after `proxy`, without the parser of the other commands, which costs more time than everything else that is done
 * before the first byte.
 *
 * @throws CT_USAGE
 */
export function proxyArguments(words: readonly string[], env: Environment): ProxyArguments {
  const { values, positionals } = parsed(words);
  const [host, port, ...rest] = positionals;
  if (host === undefined) throw new CloudtunError('CT_USAGE', 'HOST is missing', { hint: HELP });
  if (port === undefined) {
    throw new CloudtunError('CT_USAGE', 'PORT is missing', { hint: [`for example: cloudtun proxy ${host} 22`, HELP] });
  }
  if (rest.length > 0) throw new CloudtunError('CT_USAGE', `unexpected argument "${rest[0]}"`, { hint: HELP });
  const said = (name: 'project' | 'zone' | 'reason' | 'document') => values[name] ?? variable(env, name);
  const login = values.login ?? variable(env, 'proxy-login');
  const via = (values.via ?? [variable(env, 'via') ?? '']).flatMap((hops) => hops.split(',')).map((hop) => hop.trim());
  const sshFiles = values['ssh-files'] ?? variable(env, 'proxy-ssh-files');
  if ((login === undefined) !== (sshFiles === undefined)) {
    throw new CloudtunError('CT_USAGE', '--login and --ssh-files go together', {
      hint: 'both are written by: cloudtun ssh-config',
    });
  }
  return {
    target: targetOf(host),
    host,
    port: portOf(port),
    profile: values.profile ?? values['aws-profile'] ?? variable(env, 'profile'),
    region: values.region ?? values['aws-region'] ?? variable(env, 'region'),
    project: said('project'),
    zone: said('zone'),
    via: via.some((hop) => hop !== '') ? via : undefined,
    reason: said('reason'),
    document: said('document'),
    login,
    sshFiles,
    catalogue: values.catalogue ?? variable(env, 'proxy-catalogue'),
  };
}

/** A TARGET from what an SSH client calls the host: `alice@web-1.cloudtun` is `web-1`, and `web-1.gcp.cloudtun` is `gcp:web-1`. */
export function targetOf(host: string): string {
  const name = host.replace(/^[A-Za-z_][\w.-]*@(?=.)/, '');
  const match = /^(.+)\.cloudtun$/i.exec(name);
  if (match === null) return name;
  const text = match[1]!;
  const cloud = PROVIDER_IDS.find((id) => text.toLowerCase().endsWith(`.${id}`) && text.length > id.length + 1);
  return cloud === undefined ? text : `${cloud}:${text.slice(0, -(cloud.length + 1))}`;
}

function parsed(words: readonly string[]) {
  try {
    return parseArgs({ args: [...words], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    if (!/^ERR_PARSE_ARGS_/.test(systemCode(error) ?? '') || !(error instanceof Error)) throw error;
    const flag = /'(--?[^ ',<]+)/.exec(error.message)?.[1];
    const isUnknown = systemCode(error) === 'ERR_PARSE_ARGS_UNKNOWN_OPTION';
    const message = isUnknown ? `there is no flag ${flag}` : `${flag ?? 'a flag'} has no value, or one too many`;
    throw new CloudtunError('CT_USAGE', message, { hint: HELP, cause: error });
  }
}

function portOf(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= LARGEST_PORT) return port;
  throw new CloudtunError('CT_USAGE', `"${text}" is not a port`, { hint: 'a number from 1 to 65535' });
}

/** An empty one counts as absent, as everywhere. */
function variable(env: Environment, flag: string): string | undefined {
  return env[`CLOUDTUN_${flag.toUpperCase().replaceAll('-', '_')}`] || undefined;
}

import type { Millis } from '../domain/millis.ts';
import type { World } from '../runtime/world.ts';
import type { LoginWish } from '../ssh/open-login.ts';
import { KEEP_ALIVE, KEEP_ALIVE_COUNT } from '../ssh/ssh-handshake.ts';
import { listOf } from './flags.ts';
import { loginWish } from './login-flags.ts';
import { agentSocket } from './ssh-credentials.ts';
import { parseSshOptions, type SshOptions } from './ssh-options.ts';
import { parseSshRules, type SshRules } from './ssh-rules.ts';

/** What `ssh` was told, flags and options together. */
export interface SshWishes {
  readonly rules: SshRules;
  readonly hasNoSession: boolean;
  /** A forward that cannot be had is the end. OpenSSH's own default is to go on without. */
  readonly needsAllForwards: boolean;
  readonly tty: 'never' | 'if-keyboard' | 'always' | 'for-shell';
  readonly port: number | undefined;
  readonly user: string | undefined;
  readonly hasOwnKey: boolean;
  readonly connectTimeout: Millis | undefined;
  readonly variables: Readonly<Record<string, string>>;
  readonly escapeWith: number | 'none' | undefined;
  readonly hasInput: boolean;
  /** As who, once that is known. */
  login(who: Pick<LoginWish, 'user' | 'port'>): LoginWish;
}

interface SshFlags {
  readonly login?: string | undefined;
  readonly port?: number | undefined;
  readonly identity?: string | readonly string[] | undefined;
  readonly agent: boolean;
  readonly 'forget-host-key': boolean;
  readonly 'forward-agent': boolean;
  readonly tty: boolean;
  readonly 'no-tty': boolean;
  readonly 'no-input-stream': boolean;
  readonly 'no-session': boolean;
  readonly local?: string | readonly string[] | undefined;
  readonly 'remote-forward'?: string | readonly string[] | undefined;
  readonly dynamic?: string | readonly string[] | undefined;
  readonly option?: string | readonly string[] | undefined;
}

/** Flags over options, as in ssh. @throws CT_USAGE */
export function sshWishes(world: World, flags: SshFlags): SshWishes {
  const options = parseSshOptions(listOf(flags.option) ?? []);
  const lists = (flag: string | readonly string[] | undefined, more: readonly string[]) => [
    ...(listOf(flag) ?? []),
    ...more,
  ];
  return {
    rules: parseSshRules({
      local: lists(flags.local, options.localForwards),
      dynamic: lists(flags.dynamic, options.dynamicForwards),
      remote: lists(flags['remote-forward'], options.remoteForwards),
    }),
    hasNoSession: flags['no-session'] || options.hasNoSession === true,
    needsAllForwards: options.exitOnForwardFailure ?? true,
    tty: ttyOf(flags, options),
    port: flags.port ?? options.port,
    user: flags.login ?? options.user,
    hasOwnKey: flags.agent || lists(flags.identity, options.identityFiles).length > 0,
    connectTimeout: options.connectTimeout,
    variables: variablesOf(world, options),
    escapeWith: options.escapeWith,
    hasInput: !flags['no-input-stream'],
    login: (who) => {
      const identity = lists(flags.identity, options.identityFiles);
      const wish = loginWish(world, { ...flags, identity: identity.length === 0 ? undefined : identity }, who);
      const forwardAgent = agentOf(world, flags, options);
      return {
        ...wish,
        forwardAgent,
        hostKeys: { ...wish.hostKeys, isStrict: options.hostKeys === 'strict' },
        keepAlive: {
          interval: options.keepAliveInterval ?? KEEP_ALIVE,
          count: options.keepAliveCount ?? KEEP_ALIVE_COUNT,
        },
      };
    },
  };
}

function ttyOf(flags: SshFlags, { tty }: SshOptions): SshWishes['tty'] {
  if (flags['no-tty']) return 'never';
  if (flags.tty) return 'if-keyboard';
  const wished = { no: 'never', yes: 'if-keyboard', force: 'always', auto: 'for-shell' } as const;
  return wished[tty ?? 'auto'];
}

function agentOf(world: World, flags: SshFlags, { forwardAgent }: SshOptions): string | undefined {
  if (flags['forward-agent'] || forwardAgent === true) return agentSocket(world, '-A');
  if (typeof forwardAgent !== 'string') return undefined;
  const { env, paths } = world;
  const variable = /^\$(\w+)$/.exec(forwardAgent)?.[1];
  return variable === undefined ? forwardAgent.replace(/^~(?=\/)/, paths.home) : env[variable];
}

function variablesOf({ env }: World, { variables, passedVariables }: SshOptions): Record<string, string> {
  const patterns = passedVariables.map((text) => {
    const source = text
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.');
    return new RegExp(`^${source}$`);
  });
  const passed = Object.entries(env).filter(([name]) => patterns.some((pattern) => pattern.test(name)));
  return {
    ...Object.fromEntries(passed.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))),
    ...variables,
  };
}

import { Flags } from '@oclif/core';
import type { World } from '../runtime/world.ts';
import type { LoginWish } from '../ssh/open-login.ts';
import { listOf } from './flags.ts';
import { ownCredentials } from './ssh-credentials.ts';

const LARGEST_PORT = 65_535;

/** @param char `-p` as in ssh, or `-P` as in scp */
export function portFlag(char: 'p' | 'P') {
  return Flags.integer({
    env: 'CLOUDTUN_SSH_PORT',
    char,
    description: 'port of the SSH server (default: 22)',
    min: 1,
    max: LARGEST_PORT,
    helpValue: 'PORT',
  });
}

/** For every command that logs in to a machine. */
export const LOGIN_FLAGS = {
  login: Flags.string({
    env: 'CLOUDTUN_SSH_USER',
    char: 'l',
    description: 'user to log in as (default: guessed, and said)',
    helpValue: 'USER',
  }),
  port: portFlag('p'),
  identity: Flags.string({
    env: 'CLOUDTUN_SSH_IDENTITY',
    char: 'i',
    description: 'a private key of your own instead; may be repeated',
    helpValue: 'FILE',
    multiple: true,
    multipleNonGreedy: true,
  }),
  agent: Flags.boolean({ env: 'CLOUDTUN_SSH_AGENT', description: 'keys of your ssh-agent instead' }),
  'forget-host-key': Flags.boolean({
    env: 'CLOUDTUN_FORGET_HOST_KEY',
    description: 'forget the host key that was seen before, and trust the one that is shown now',
  }),
};

interface GivenLogin {
  readonly identity?: string | readonly string[] | undefined;
  readonly agent: boolean;
  readonly 'forget-host-key': boolean;
}

/** What LOGIN_FLAGS ask for. @throws CT_USAGE for a key that cannot be used, or an agent that is not there */
export function loginWish(world: World, flags: GivenLogin, who: Pick<LoginWish, 'user' | 'port'>): LoginWish {
  return {
    ...who,
    credentials: ownCredentials(world, { files: listOf(flags.identity) ?? [], withAgent: flags.agent }),
    forwardAgent: undefined,
    hostKeys: { forgets: flags['forget-host-key'] },
  };
}

import type { Interfaces } from '@oclif/core';
import { CloudtunError } from '../domain/errors.ts';
import { OWN_SSH_HINT } from './own-ssh-hint.ts';

/** Flags of ssh(1) that this client does not have, and what to do instead. */
const FOREIGN: Readonly<Record<string, readonly [what: string, hint: string]>> = {
  f: ['goes to the background', 'let your shell do it: cloudtun ssh -N … &'],
  g: ['lets other machines use forwards', "say it in the rule: -L '*:8080:HOST:80'"],
  W: ['is a stream to a host on the standard streams', 'that is: cloudtun proxy HOST PORT'],
  X: ['forwards X11', OWN_SSH_HINT],
  Y: ['forwards X11', OWN_SSH_HINT],
  w: ['makes a network device', OWN_SSH_HINT],
  C: ['compresses', OWN_SSH_HINT],
  M: ['shares a connection', OWN_SSH_HINT],
  S: ['shares a connection', OWN_SSH_HINT],
  O: ['shares a connection', OWN_SSH_HINT],
  F: ['reads a configuration of ssh', OWN_SSH_HINT],
  I: ['uses a PKCS #11 library', OWN_SSH_HINT],
  s: ['starts a subsystem', OWN_SSH_HINT],
  E: ['writes a log', 'send stderr to a file: cloudtun ssh -v … 2>FILE'],
  e: ['sets the escape character', 'say it with -o EscapeChar=…'],
  c: ['chooses ciphers', OWN_SSH_HINT],
  m: ['chooses MACs', OWN_SSH_HINT],
  b: ['binds an address', OWN_SSH_HINT],
  K: ['uses GSSAPI', OWN_SSH_HINT],
};

/**
 * A flag of ssh that this client does not have, among the words before the remote command: told by name, not like one that nobody knows.
 *
 * @param argv with `--` before the remote command
 * @param flags of the command
 */
export function foreignFlag(argv: readonly string[], flags: Interfaces.FlagInput): CloudtunError | undefined {
  const known = new Map(Object.values(flags).flatMap((flag) => (flag.char ? [[flag.char as string, flag.type]] : [])));
  for (let index = 0; index < argv.length; index += 1) {
    const word = argv[index]!;
    if (word === '--') return undefined;
    if (!/^-[A-Za-z]/.test(word)) continue;
    for (const [at, letter] of [...word.slice(1)].entries()) {
      const type = known.get(letter);
      if (type === 'option') {
        // Its value is the rest of the word, or the next one.
        if (at === word.length - 2) index += 1;
        break;
      }
      const foreign = FOREIGN[letter];
      if (type === undefined && foreign) return notHere(letter, foreign);
      if (type === undefined) break;
    }
  }
  return undefined;
}

function notHere(letter: string, [what, hint]: readonly [string, string]): CloudtunError {
  return new CloudtunError('CT_USAGE', `-${letter} of ssh (${what}) is not there`, { hint });
}

import type { Interfaces } from '@oclif/core';

/** `alice@web-1` */
export interface SshDestination {
  readonly user: string | undefined;
  readonly target: string;
}

/**
 * Puts `--` before the remote command, so that its options stay its own: in `web-1 -p 2222 ls -l` the last one is of `ls`. As in
 * ssh, options may stand before and after the target.
 *
 * @param flags of the command: those that take a value take the next word along
 */
export function separateCommand(argv: readonly string[], flags: Interfaces.FlagInput): string[] {
  let hasTarget = false;
  for (let index = 0; index < argv.length; index += 1) {
    const word = argv[index]!;
    if (word === '--') {
      // `-- TARGET command` and `TARGET -- command` alike.
      return [...argv];
    }
    if (word.startsWith('-') && word !== '-') {
      if (takesNext(word, flags)) index += 1;
      continue;
    }
    if (hasTarget) return [...argv.slice(0, index), '--', ...argv.slice(index)];
    hasTarget = true;
  }
  return [...argv];
}

/** The user of `USER@TARGET`; a name with a colon or slash before the `@` is a target that has one of its own. */
export function parseDestination(text: string): SshDestination {
  const match = /^([A-Za-z_][\w.-]*)@(.+)$/.exec(text);
  return match === null ? { user: undefined, target: text } : { user: match[1], target: match[2]! };
}

function takesNext(word: string, flags: Interfaces.FlagInput): boolean {
  if (word.includes('=')) return false;
  const isLong = word.startsWith('--');
  const found = Object.entries(flags).find(([name, { char, aliases }]) =>
    isLong ? name === word.slice(2) || aliases?.includes(word.slice(2)) : char === word.slice(-1),
  );
  // `-p2222` has its value with it; `-tp 2222` has not, and its last letter says so.
  if (!isLong && /^-[^-]*\d/.test(word)) return false;
  return found?.[1].type === 'option';
}

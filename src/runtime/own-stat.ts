import { readFileSync } from 'node:fs';

/** Where this process stands among process groups and terminals (Linux, proc(5): fields 5, 7 and 8 of stat). */
export interface OwnStat {
  readonly group: number;
  /** Number of the controlling terminal; 0: there is none. */
  readonly terminal: number;
  /** The process group in the foreground of that terminal. */
  readonly foregroundGroup: number;
}

/** Undefined where the system does not tell. */
export function readOwnStat(): OwnStat | undefined {
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1');
    // The second field is the command in parentheses and may itself hold spaces and parentheses: count from the last one.
    const [, , group, , terminal, foregroundGroup] = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    if (group === undefined || terminal === undefined || foregroundGroup === undefined) return undefined;
    return { group, terminal, foregroundGroup };
  } catch {
    return undefined;
  }
}

/** What a process has used, from Linux's /proc. */
import { readdirSync, readFileSync } from 'node:fs';

/** Linux tells times to programs in hundredths of a second on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;
/** Where fields stand in /proc/<pid>/stat, counted behind the name, which may hold spaces. */
const PARENT_FIELD = 1;
const TIME_FIELDS = [11, 12, 13, 14];

export const canMeasure = process.platform === 'linux';

/** Seconds of processor time, user and system, of a process and the children it waited for; resolution 10 ms. */
export function cpuSeconds(pid: number): number {
  const fields = statFields(pid);
  return TIME_FIELDS.reduce((sum, field) => sum + Number(fields[field]), 0) / TICKS_PER_SECOND;
}

/** The processes that `pid` started and that still run. */
export function childrenOf(pid: number): number[] {
  const others = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return others.map(Number).filter((other) => {
    try {
      return Number(statFields(other)[PARENT_FIELD]) === pid;
    } catch {
      // It ended while we looked.
      return false;
    }
  });
}

function statFields(pid: number): string[] {
  const line = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return line.slice(line.lastIndexOf(')') + 2).split(' ');
}

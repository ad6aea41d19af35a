import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/**
 * One run of one process, so that another process that later gets the same pid is not taken for it. Fields that the system does
 * not tell are absent: then a pid that is in use counts as the same process, which errs on the side of leaving things alone.
 */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks between boot and the start of the process (Linux, proc(5), stat field 22). */
  readonly startTicks?: number;
  readonly host: string;
  /** Changes with every boot (Linux). */
  readonly bootId?: string;
  /** Which numbering the pid belongs to, such as `pid:[4026531836]` (Linux): containers count on their own. */
  readonly pidNamespace?: string;
}

/** `unknown`: it ran somewhere whose processes cannot be seen from here, such as another container that shares the directory. */
export type ProcessState = 'alive' | 'dead' | 'unknown';

const attempt = <T>(read: () => T): T | undefined => {
  try {
    return read();
  } catch {
    return undefined;
  }
};

/** The identity of a process of this machine, by default of this one. */
export function processIdentity(pid = process.pid): ProcessIdentity {
  const startTicks = readStartTicks(pid);
  const bootId = attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim());
  const pidNamespace = attempt(() => readlinkSync('/proc/self/ns/pid'));
  return {
    pid,
    host: hostname(),
    ...(startTicks !== undefined && { startTicks }),
    ...(bootId !== undefined && { bootId }),
    ...(pidNamespace !== undefined && { pidNamespace }),
  };
}

/** Whether the process that had this identity still runs. `here` is the identity of this process. */
export function processState(identity: ProcessIdentity, here: ProcessIdentity): ProcessState {
  if (identity.host !== here.host) return 'unknown';
  // Nothing survives a boot. Two machines of one name that share a home directory would be mistaken here; a name is all there is.
  if (identity.bootId !== here.bootId) return 'dead';
  if (identity.pidNamespace !== here.pidNamespace) return 'unknown';
  if (!isPidInUse(identity.pid) || isZombie(identity.pid)) return 'dead';
  const startTicks = readStartTicks(identity.pid);
  if (startTicks === undefined || identity.startTicks === undefined) return 'alive';
  return startTicks === identity.startTicks ? 'alive' : 'dead';
}

function isPidInUse(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: somebody else's process, so it exists.
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}

/** Ended, and its parent has not asked how: nothing runs in it any more. */
function isZombie(pid: number): boolean {
  return /^[ZX]$/.test(statFields(pid)?.[3 - 3] ?? '');
}

/** The fields of proc(5), stat, from the third on. */
function statFields(pid: number): readonly string[] | undefined {
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'latin1'));
  // The second field is the command in parentheses and may itself hold spaces and parentheses: count from the last one.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function readStartTicks(pid: number): number | undefined {
  const field = statFields(pid)?.[22 - 3];
  const ticks = Number(field);
  return field === undefined || !Number.isSafeInteger(ticks) ? undefined : ticks;
}

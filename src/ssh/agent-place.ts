import { createHash } from 'node:crypto';
import { readdirSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';

/*
 * ssh finds the agent of a login by a path that is the same for every connection to one host as one user. Each connection has a process
 * and a socket of its own, `.a1b2c3d4e5f6-4711`, and the path is a link to one of them: the newest, whose key was let in last. Whichever
 * agent an ssh meets there has a key that this machine takes. A process that ends hands the path to another one that still runs.
 */

/** Where the socket of this process is, for a path that `ssh` looks at. */
export function ownSocket(path: string, pid: number): string {
  return join(dirname(path), `${prefixOf(path)}${pid}`);
}

/** Leads the path to this process's socket. @throws what the file system throws */
export function lead(path: string, pid: number): void {
  const temporary = `${ownSocket(path, pid)}.link`;
  rmSync(temporary, { force: true });
  symlinkSync(ownSocket(path, pid), temporary);
  renameSync(temporary, path);
}

/**
 * After this process's socket is gone: leads the path to another one, or takes it away.
 *
 * @param isAlive whether a process of this id runs
 */
export function handOver(path: string, pid: number, isAlive: (pid: number) => boolean): void {
  const own = ownSocket(path, pid);
  rmSync(own, { force: true });
  if (targetOf(path) !== own) return;
  const other = living(path, isAlive);
  if (other === undefined) rmSync(path, { force: true });
  else lead(path, other);
}

/** Takes away the sockets of processes that were killed. */
export function sweep(folder: string, isAlive: (pid: number) => boolean): void {
  for (const name of readdirSync(folder)) {
    const pid = /^\.[0-9a-f]{12}-(\d+)(?:\.link)?$/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(folder, name), { force: true });
  }
}

function living(path: string, isAlive: (pid: number) => boolean): number | undefined {
  const prefix = prefixOf(path);
  return readdirSync(dirname(path))
    .filter((name) => name.startsWith(prefix))
    .map((name) => Number(name.slice(prefix.length)))
    .find((pid) => Number.isInteger(pid) && isAlive(pid));
}

function targetOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function prefixOf(path: string): string {
  return `.${createHash('sha256').update(path).digest('hex').slice(0, 12)}-`;
}

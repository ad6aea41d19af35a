import { spawn } from 'node:child_process';
import type { Millis } from '../domain/millis.ts';
import type { Environment } from './world.ts';

/*
 * sd_notify(3): a datagram to the Unix socket that NOTIFY_SOCKET names. Node has no datagram Unix sockets, and its UDP and pipe handles
 * refuse a descriptor of one, so systemd's own `systemd-notify` sends it (docs/adr/0025-systemd.md). Only where systemd asked for it.
 */

/** Longer than a message takes on a machine that swaps. */
const SEND_LIMIT: Millis = 5_000;

export interface SystemdNotifier {
  /** How often the watchdog is to be fed: half of what systemd waits. Undefined when it does not watch this process. */
  readonly watchdog: Millis | undefined;
  /** Sends assignments such as `READY=1`, one after the other call. Resolves when sent; never rejects. */
  notify(...assignments: readonly string[]): Promise<void>;
}

/** Undefined when systemd did not start this process, or wants to hear nothing. */
export function systemdNotifier(
  env: Environment,
  pid: number,
  onTrouble: (message: string) => void,
): SystemdNotifier | undefined {
  if (env.NOTIFY_SOCKET === undefined || env.NOTIFY_SOCKET === '') return undefined;
  let last = Promise.resolve();
  let isBroken = false;
  return {
    watchdog: watchdogInterval(env, pid),
    notify(...assignments) {
      last = last.then(async () => {
        if (isBroken) return;
        const trouble = await send(env, assignments);
        if (trouble === undefined) return;
        isBroken = true;
        onTrouble(`systemd could not be told ${assignments.join(' ')}: ${trouble}`);
      });
      return last;
    },
  };
}

function watchdogInterval({ WATCHDOG_USEC, WATCHDOG_PID }: Environment, pid: number): Millis | undefined {
  const isOurs = WATCHDOG_PID === undefined || WATCHDOG_PID === String(pid);
  const microseconds = Number(WATCHDOG_USEC ?? '0');
  return isOurs && microseconds > 0 ? microseconds / 2_000 : undefined;
}

/** @returns what went wrong */
function send(env: Environment, assignments: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn('systemd-notify', [...assignments], {
      env: { PATH: env.PATH ?? '/usr/bin:/bin', NOTIFY_SOCKET: env.NOTIFY_SOCKET },
      stdio: 'ignore',
      timeout: SEND_LIMIT,
    });
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) =>
      resolve(code === 0 ? undefined : `systemd-notify ended with ${code ?? signal}`),
    );
  });
}

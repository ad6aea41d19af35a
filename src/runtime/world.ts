import { type Clock, systemClock } from './clock.ts';
import type { InheritedSockets } from './inherited-sockets.ts';
import { type Log, silentLog } from './log.ts';
import { type Paths, xdgPaths } from './paths.ts';
import { type Random, systemRandom } from './random.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** The outside world, handed in: nothing below `cli/` reads the clock, randomness or the environment by itself. */
export interface World {
  readonly clock: Clock;
  readonly random: Random;
  readonly env: Environment;
  readonly paths: Paths;
  readonly log: Log;
  readonly pid: number;
  readonly platform: string;
  readonly cwd: string;
  /** Sockets that systemd listens on for this process; absent where it passed none. */
  readonly inherited?: InheritedSockets;
}

/** The real one. Tests spread it and replace what they drive by hand. */
export function systemWorld(overrides: Partial<World> = {}): World {
  const env = overrides.env ?? process.env;
  return {
    clock: systemClock,
    random: systemRandom,
    env,
    paths: xdgPaths(env),
    log: silentLog,
    pid: process.pid,
    platform: process.platform,
    cwd: process.cwd(),
    ...overrides,
  };
}

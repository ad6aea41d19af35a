import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { lastWords, spawnDetached } from '../runtime/child.ts';
import { isoTime } from '../runtime/iso-time.ts';
import { Lifetime } from '../runtime/lifetime.ts';
import { processIdentity } from '../runtime/process-identity.ts';
import { makePrivateDirectory } from '../runtime/state-file.ts';
import type { World } from '../runtime/world.ts';
import type { Lab, LabOptions } from './lab.ts';
import { askLab, askStatus } from './lab-client.ts';
import type { LabEnvironment } from './lab-environment.ts';
import { claimLabState, type LabState, labDirectory, readLabState, releaseLabState } from './lab-state.ts';
import type { LabStatus } from './lab-status.ts';

/** What `lab status` shows. */
export type LabReport =
  | { readonly running: false }
  | { readonly running: true; readonly state: LabState; readonly status: LabStatus };

export interface RunLabOptions {
  /** Ends the lab. */
  readonly signal: AbortSignal;
  /** Called when it answers and other processes can find it. */
  readonly onReady?: (lab: Lab, state: LabState) => void;
  readonly lab?: LabOptions;
}

export interface SpawnLabOptions {
  /** Default: bin/run.js of this package. */
  readonly script?: string;
  /** Default: `lab up --foreground`. */
  readonly commandLine?: readonly string[];
}

const START_LIMIT: Millis = 20_000;
const STOP_LIMIT: Millis = 10_000;
const POLL: Millis = 25;
const RUN_JS = join(import.meta.dirname, '../../bin/run.js');

/**
 * Runs the lab in this process until `signal` aborts or `stopLab` is called somewhere. Resolves when everything is closed and the
 * state file is gone.
 *
 * @throws CT_LAB_FAILED when one runs already, or it cannot start
 */
export async function runLab(world: World, options: RunLabOptions): Promise<void> {
  const running = readLabState(world);
  if (running !== undefined) throw alreadyRunning(running);
  // Only here: `lab status` and `lab env` must not load the websocket server.
  const { startLab } = await import('./lab.ts');
  const startedAt = isoTime(world.clock.wall());
  const directory = labDirectory(world, world.pid);
  await using lifetime = new Lifetime();
  lifetime.defer(() => rmSync(directory, { recursive: true, force: true }));
  let claimed: LabState | undefined;
  // After the lab is closed: whoever waits for the file to go may then count on its ports and sessions being gone too.
  lifetime.defer(() => {
    if (claimed !== undefined) releaseLabState(world, claimed);
  });
  const lab = lifetime.use(await startLab(world, { directory, ...options.lab }));
  const state: LabState = {
    version: 1,
    process: processIdentity(),
    url: lab.url,
    port: lab.port,
    startedAt,
    controlToken: lab.controlToken.reveal(),
    environment: lab.environment,
  };
  if (!claimLabState(world, state)) {
    const other = readLabState(world);
    if (other !== undefined) throw alreadyRunning(other);
    throw new CloudtunError('CT_LAB_FAILED', 'another lab started and ended meanwhile');
  }
  claimed = state;
  options.onReady?.(lab, state);
  // Now that nobody waits for it; the first session finds it running. What fails here fails again there, and is told there.
  lab.databases.address('prod').catch(() => {});
  lab.gcp.serviceAccountFile().catch(() => {});
  await aborted(AbortSignal.any([options.signal, lab.stopRequested]));
}

/**
 * Whether a lab runs, and what it does. A state file that a killed one left behind is removed.
 *
 * @throws CT_LAB_FAILED when its process is there and does not answer
 */
export async function labStatus(world: World): Promise<LabReport> {
  const state = readLabState(world);
  if (state === undefined) return { running: false };
  return { running: true, state, status: await askStatus(world, state) };
}

/**
 * The variables of the running lab.
 *
 * @throws CT_LAB_NOT_RUNNING
 */
export function labEnvironment(world: World): LabEnvironment {
  const state = readLabState(world);
  if (state !== undefined) return state.environment;
  throw new CloudtunError('CT_LAB_NOT_RUNNING', 'the lab is not running', { hint: 'start it with: cloudtun lab up' });
}

/**
 * Ends the running lab and waits until it is gone.
 *
 * @returns its state as it was, or undefined when none was running
 * @throws CT_LAB_FAILED when it does not answer or does not end
 */
export async function stopLab(world: World): Promise<LabState | undefined> {
  const state = readLabState(world);
  if (state === undefined) return undefined;
  await askLab(world, state, 'POST', '/_lab/stop');
  const limit = world.clock.now() + STOP_LIMIT;
  while (readLabState(world)?.controlToken === state.controlToken) {
    if (world.clock.now() > limit) {
      throw new CloudtunError('CT_LAB_FAILED', `the lab (pid ${state.process.pid}) was told to stop and did not`);
    }
    await world.clock.sleep(POLL);
  }
  return state;
}

/**
 * Starts the lab as a process of its own and waits until it answers.
 *
 * @returns its state; `already` when one was running before
 * @throws CT_LAB_FAILED with the end of what it said when it ended instead
 */
export async function spawnLab(
  world: World,
  options: SpawnLabOptions = {},
): Promise<{ readonly state: LabState; readonly already: boolean }> {
  const running = readLabState(world);
  if (running !== undefined) {
    await askStatus(world, running);
    return { state: running, already: true };
  }
  makePrivateDirectory(world.paths.state);
  const logFile = join(world.paths.state, 'lab.log');
  const commandLine = options.commandLine ?? ['lab', 'up', '--foreground'];
  const child = await spawnDetached(options.script ?? RUN_JS, commandLine, { env: world.env, cwd: world.cwd, logFile });
  let ended: number | NodeJS.Signals | undefined;
  void child.ended.then((how) => {
    ended = how;
  });
  const limit = world.clock.now() + START_LIMIT;
  for (;;) {
    const state = readLabState(world);
    if (state !== undefined) {
      await askStatus(world, state);
      child.release();
      return { state, already: state.process.pid !== child.pid };
    }
    if (ended !== undefined || world.clock.now() > limit) {
      child.release();
      const what = ended === undefined ? `did not answer within ${START_LIMIT / 1_000} s` : `ended with ${ended}`;
      throw new CloudtunError('CT_LAB_FAILED', `the lab ${what}`, { details: [['it said', lastWords(logFile)]] });
    }
    await world.clock.sleep(POLL);
  }
}

function alreadyRunning(state: LabState): CloudtunError {
  return new CloudtunError('CT_LAB_FAILED', `the lab is running already (pid ${state.process.pid}, ${state.url})`, {
    hint: ['use it with: eval "$(cloudtun lab env)"', 'end it with: cloudtun lab down'],
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

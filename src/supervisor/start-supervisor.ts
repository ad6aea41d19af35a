import { CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { lastWords, spawnDetached } from '../runtime/child.ts';
import { makePrivateDirectory } from '../runtime/state-file.ts';
import type { World } from '../runtime/world.ts';
import { connectSupervisor, type SupervisorConnection } from './control-client.ts';
import { relevant } from './origin.ts';
import { supervisorPaths } from './paths.ts';

const START_LIMIT: Millis = 15_000;
const POLL: Millis = 20;

/**
 * The supervisor of this user, started when there is none: a process of its own session, without a terminal. Of several that are
 * started at the same time one stays, and all callers get that one.
 *
 * @param entry the script that is this cloudtun
 * @throws CT_SUPERVISOR with the end of what it said when it ended instead
 */
export async function reachSupervisor(world: World, entry: string): Promise<SupervisorConnection> {
  const running = await connectSupervisor(world);
  if (running) return running;
  const { log } = supervisorPaths(world);
  makePrivateDirectory(world.paths.state);
  const startLog = `${log}.start`;
  const child = await spawnDetached(entry, ['supervisor'], {
    env: relevant(world.env),
    cwd: world.paths.home,
    logFile: startLog,
  });
  let ended: number | NodeJS.Signals | undefined;
  void child.ended.then((how) => {
    ended = how;
  });
  try {
    for (const limit = world.clock.now() + START_LIMIT; world.clock.now() < limit; await world.clock.sleep(POLL)) {
      const supervisor = await connectSupervisor(world);
      if (supervisor) return supervisor;
      // Ended with 0: another one was faster, and is about to answer.
      if (ended !== undefined && ended !== 0) break;
    }
  } finally {
    child.release();
  }
  const what = ended === undefined ? `did not answer within ${START_LIMIT / 1_000} s` : `ended with ${ended}`;
  throw new CloudtunError('CT_SUPERVISOR', `the supervisor ${what}`, {
    details: [['it said', lastWords(startLog)]],
    hint: 'hold the tunnels in this process instead: cloudtun up --foreground',
  });
}

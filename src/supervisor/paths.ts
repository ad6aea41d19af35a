import { join } from 'node:path';
import { ownUid } from '../runtime/private-directory.ts';
import type { World } from '../runtime/world.ts';

/** What a Unix socket's path may have on every system that we know (104 on macOS, 108 on Linux), its end mark included. */
const SOCKET_PATH_LIMIT = 103;
const SOCKET = 'supervisor.sock';

/** Where the one supervisor of a user listens, and what it writes. */
export interface SupervisorPaths {
  readonly socket: string;
  /** Held by the one that runs. */
  readonly lock: string;
  /** What is held, for who finds that its process is gone. */
  readonly state: string;
  readonly log: string;
}

/**
 * The places of a user's supervisor. The socket is in `$XDG_RUNTIME_DIR/cloudtun`, else beside the state, else, where that path is
 * too long for a socket, in a directory of the user's own in the system's temporary one.
 */
export function supervisorPaths(world: Pick<World, 'env' | 'paths'>): SupervisorPaths {
  const { env, paths } = world;
  const runtime = env.XDG_RUNTIME_DIR;
  const places = [
    ...(runtime?.startsWith('/') ? [join(runtime, 'cloudtun')] : []),
    paths.state,
    join(env.TMPDIR?.startsWith('/') ? env.TMPDIR : '/tmp', `cloudtun-${ownUid()}`),
  ];
  const directory =
    places.find((place) => Buffer.byteLength(join(place, SOCKET)) <= SOCKET_PATH_LIMIT) ?? places.at(-1)!;
  return {
    socket: join(directory, SOCKET),
    lock: join(paths.state, 'supervisor.lock'),
    state: join(paths.state, 'supervisor.json'),
    log: join(paths.state, 'supervisor.log'),
  };
}

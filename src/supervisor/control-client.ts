import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { CloudtunError, systemCode } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { withDeadline } from '../runtime/deadline.ts';
import { checkPrivateDirectory } from '../runtime/private-directory.ts';
import type { World } from '../runtime/world.ts';
import { messageLines } from './message-lines.ts';
import { supervisorPaths } from './paths.ts';
import {
  decodeMessage,
  encodeMessage,
  type Greeting,
  type HeldStatus,
  PROTOCOL_VERSION,
  type Reply,
  type Request,
} from './protocol.ts';

/** It greets at once; one that does not is busy or stuck. */
const GREETING_LIMIT: Millis = 5_000;
/** A list of thousands of tunnels. */
const REPLY_SIZE = 67_108_864;

/** A supervisor that answers. One request; disposing it leaves. */
export interface SupervisorConnection extends Disposable {
  readonly pid: number;
  /** Its replies until it is done. @throws CT_SUPERVISOR, CT_TUNNEL_LOST when it went away in the middle; what it refused with */
  ask(request: Request): AsyncGenerator<Reply, void, undefined>;
}

/**
 * The supervisor of this user, if one runs.
 *
 * @throws CT_SUPERVISOR when something is there that does not answer, or speaks another version
 */
export async function connectSupervisor(
  world: Pick<World, 'env' | 'paths' | 'clock'>,
): Promise<SupervisorConnection | undefined> {
  const { socket: path } = supervisorPaths(world);
  // A request carries credentials: nobody else may be at the other end.
  if (!checkPrivateDirectory(dirname(path))) return undefined;
  const socket = connect(path);
  try {
    await once(socket, 'connect');
  } catch (error) {
    if (/^(ENOENT|ECONNREFUSED|ENOTDIR)$/.test(systemCode(error) ?? '')) return undefined;
    throw new CloudtunError('CT_SUPERVISOR', `the supervisor cannot be reached at ${path} (${systemCode(error)})`, {
      cause: error,
    });
  }
  socket.on('error', () => {});
  const lines = messageLines(socket, REPLY_SIZE);
  try {
    const greeting = await withDeadline(world.clock, GREETING_LIMIT, async () => (await lines.next()).value);
    const { cloudtun, pid } = (greeting === undefined ? {} : decodeMessage(greeting)) as Partial<Greeting>;
    if (cloudtun !== PROTOCOL_VERSION || pid === undefined) throw otherVersion(pid);
    return connection(socket, lines, pid);
  } catch (error) {
    socket.destroy();
    if (error instanceof CloudtunError && error.code === 'CT_SUPERVISOR') throw error;
    throw new CloudtunError('CT_SUPERVISOR', 'the supervisor does not answer', { cause: error });
  }
}

/** What the supervisor holds; undefined when none runs. */
export async function listHeld(
  world: Pick<World, 'env' | 'paths' | 'clock'>,
): Promise<{ readonly tunnels: readonly HeldStatus[]; readonly pid: number; readonly startedAt: number } | undefined> {
  using supervisor = await connectSupervisor(world);
  if (supervisor === undefined) return undefined;
  for await (const reply of supervisor.ask({ do: 'list' })) if (reply.say === 'list') return reply;
  throw new CloudtunError('CT_SUPERVISOR', 'the supervisor did not say what it holds');
}

/** A tunnel that is held and leads where a plan does, ready for clients or on demand. @param key of plan/plan-key.ts */
export async function findHeld(
  world: Pick<World, 'env' | 'paths' | 'clock'>,
  key: string,
): Promise<HeldStatus | undefined> {
  const held = await listHeld(world);
  return held?.tunnels.find((tunnel) => tunnel.key === key && /^(ready|waiting|reconnecting)$/.test(tunnel.state));
}

function connection(socket: Socket, lines: AsyncGenerator<string, void, undefined>, pid: number): SupervisorConnection {
  return {
    pid,
    async *ask(request) {
      socket.write(encodeMessage(request));
      for await (const line of lines) {
        const reply = decodeMessage(line) as Reply;
        if (reply.say === 'done') return;
        if (reply.say === 'refused') throw reply.error;
        yield reply;
      }
      throw new CloudtunError('CT_TUNNEL_LOST', 'the supervisor went away', {
        hint: 'see what is left with: cloudtun ps',
      });
    },
    [Symbol.dispose]: () => socket.destroy(),
  };
}

function otherVersion(pid: number | undefined): CloudtunError {
  return new CloudtunError('CT_SUPERVISOR', 'the supervisor that runs is of another version of cloudtun', {
    hint:
      pid === undefined ? 'end it with the cloudtun that started it' : `end it, which closes its tunnels: kill ${pid}`,
  });
}

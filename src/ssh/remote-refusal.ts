import { CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { withDeadline } from '../runtime/deadline.ts';
import type { World } from '../runtime/world.ts';
import { type RemoteBind, type RemotePorts, remoteName } from './remote-ports.ts';
import type { SshConnection } from './ssh-connection.ts';
import { sshHop } from './ssh-hop.ts';

/** For a question of one round trip (guessed: a slow tunnel). */
const QUESTION_LIMIT: Millis = 5_000;
/** Below this only root may listen. */
const FIRST_FREE_PORT = 1_024;

/**
 * Whether somebody listens already on a port that an sshd is to listen on. Asked before, since an sshd that gets one of its two
 * loopbacks says yes: callers would meet the one or the other, by the name they use.
 *
 * @returns CT_REMOTE_PORT_BUSY, or undefined also where the sshd does not let us ask
 */
export async function portInUse(
  world: World,
  connection: SshConnection,
  bind: RemoteBind,
  signal: AbortSignal,
): Promise<CloudtunError | undefined> {
  if (bind.port === 0 || !(await answers(world, connection, bind, signal))) return undefined;
  return portBusy(connection.server.label, bind, undefined);
}

/**
 * Why an sshd does not listen on a port where nobody answers: the protocol says no more than "no", so it is asked whether it would
 * listen on any other port.
 *
 * @param refused what `RemotePorts.listen` threw
 * @returns CT_REMOTE_PORT_BUSY or CT_FORWARD_PROHIBITED, with what to look at
 */
export async function explainRefusal(
  world: World,
  connection: SshConnection,
  ports: RemotePorts,
  bind: RemoteBind,
  refused: CloudtunError,
  signal: AbortSignal,
): Promise<CloudtunError> {
  if (connection.failure) return connection.failure;
  const { label } = connection.server;
  const { user } = connection;
  if (bind.port > 0 && bind.port < FIRST_FREE_PORT && user !== 'root') {
    return new CloudtunError('CT_FORWARD_PROHIBITED', `${label} does not let ${user} listen on port ${bind.port}`, {
      hint: `ports below ${FIRST_FREE_PORT} belong to root: take one above`,
      cause: refused,
    });
  }
  const isTaken = bind.port > 0 && (await listensElsewhere(world, ports, bind, signal));
  signal.throwIfAborted();
  if (isTaken) return portBusy(label, bind, refused);
  return new CloudtunError('CT_FORWARD_PROHIBITED', `the sshd of ${label} listens on no port for ${user}`, {
    details: [['asked', remoteName(bind)]],
    hint: [
      'look at AllowTcpForwarding, DisableForwarding and PermitListen in its sshd_config, and at the restrictions of the key',
      'a change there needs: systemctl reload sshd',
    ],
    cause: refused,
  });
}

function portBusy(label: string, bind: RemoteBind, cause: unknown): CloudtunError {
  return new CloudtunError('CT_REMOTE_PORT_BUSY', `${remoteName(bind)} of ${label} is taken`, {
    hint: [
      `see by whom, on the machine: ss -ltnp 'sport = :${bind.port}'`,
      'take another one, or 0 for any that is free; a login of yours that was cut may hold it until its sshd notices',
    ],
    cause,
  });
}

/** Whether somebody listens there. The connection is closed at once; it says nothing. */
async function answers(
  world: World,
  connection: SshConnection,
  { host, port }: RemoteBind,
  signal: AbortSignal,
): Promise<boolean> {
  const to = host === '' || host === 'localhost' ? { port } : { host, port };
  try {
    const ask = (limited: AbortSignal) => sshHop(connection).dial(to, limited);
    (await withDeadline(world.clock, QUESTION_LIMIT, ask, signal)).destroy();
    return true;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}

/** Whether it would listen on a port that it may choose. */
async function listensElsewhere(
  world: World,
  ports: RemotePorts,
  { host }: RemoteBind,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const ask = (limited: AbortSignal) => ports.listen({ host, port: 0 }, (caller) => caller.refuse(), limited);
    const port = await withDeadline(world.clock, QUESTION_LIMIT, ask, signal);
    await port.close();
    return true;
  } catch {
    return false;
  }
}

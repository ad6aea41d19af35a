import type { RemoteEndpoint } from '../domain/endpoint.ts';
import type { Millis } from '../domain/millis.ts';
import type { Target } from '../domain/target.ts';
import type { Clock } from '../runtime/clock.ts';
import { withDeadline } from '../runtime/deadline.ts';
import { isLoopbackAddress } from '../runtime/loopback.ts';
import type { World } from '../runtime/world.ts';
import type { RemoteBind, RemoteCaller } from '../ssh/remote-ports.ts';
import type { SshConnection } from '../ssh/ssh-connection.ts';
import { sshHop } from '../ssh/ssh-hop.ts';

/** One round trip (guessed: a slow tunnel). */
const QUESTION_LIMIT: Millis = 3_000;

/** Whether other machines were meant to connect: only then can `GatewayPorts no` be in the way. */
export function mayBeLoopbackOnly({ host }: RemoteBind): boolean {
  return host !== 'localhost' && !isLoopbackAddress(host);
}

/** Connections of our own to our own port, which arrive like any other: the next from the machine itself, for a moment. */
export class OwnProbes {
  readonly #clock: Clock;
  #until: Millis = Number.NEGATIVE_INFINITY;
  #hosts: ReadonlySet<string> = new Set();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  expect(...hosts: readonly string[]): void {
    this.#hosts = new Set(hosts);
    this.#until = this.#clock.now() + QUESTION_LIMIT;
  }

  /** Refuses the caller if it is the one that is expected. */
  take(caller: RemoteCaller): boolean {
    if (this.#clock.now() > this.#until || !this.#hosts.has(caller.from.host)) return false;
    this.#hosts = new Set();
    caller.refuse();
    return true;
  }
}

/**
 * Whether a port that should serve other machines is open on loopback alone, which sshd does without a word where `GatewayPorts` is `no`.
 * Asked by connecting to the machine's own address from itself. Where its
 * address is not known, or it may not be asked, the answer is no.
 */
export async function isLoopbackOnly(
  world: World,
  connection: SshConnection,
  target: Target,
  { host, port }: RemoteBind,
  probes: OwnProbes,
  signal: AbortSignal,
): Promise<boolean> {
  const own = target.kind === 'machine' ? target.privateIp : undefined;
  const address = host === '' ? own : host;
  if (address === undefined) return false;
  const reaches = async (to: RemoteEndpoint) => {
    probes.expect(address, '127.0.0.1', '::1');
    try {
      const ask = (limited: AbortSignal) => sshHop(connection).dial(to, limited);
      (await withDeadline(world.clock, QUESTION_LIMIT, ask, signal)).destroy();
      return true;
    } catch {
      signal.throwIfAborted();
      return false;
    }
  };
  return !(await reaches({ host: address, port })) && (await reaches({ port }));
}

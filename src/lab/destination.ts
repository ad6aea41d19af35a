/** Where a session's connections really go: names and ports of the practice cloud, and the loopback sockets that stand for them. */
import { connect, type Socket } from 'node:net';
import type { Millis } from '../domain/millis.ts';
import type { Clock } from '../runtime/clock.ts';

export interface DestinationQuery {
  /** The managed node that dials. */
  readonly targetId: string;
  /** The `host` property; undefined for a port of the node itself. */
  readonly host: string | undefined;
  readonly port: number;
}

export type Destination =
  /** Dial this. `privateIp` is the address inside the practice cloud, which the agent's list of denied addresses is held against. */
  | { readonly kind: 'address'; readonly host: string; readonly port: number; readonly privateIp?: string }
  /** Somebody is there, nobody listens: refused at once. */
  | { readonly kind: 'refused' }
  /** Nothing comes back, as behind a security group: the connect hangs until the system gives up. */
  | { readonly kind: 'silent' }
  | { readonly kind: 'unknown-name' };

/** Asked once per session, when it starts: the official agent resolves no name twice. */
export type ResolveDestination = (query: DestinationQuery) => Destination | Promise<Destination>;

/** How long Linux tries to connect to a silent address. */
export const SYSTEM_CONNECT_LIMIT: Millis = 127_000;

/** A connect in progress. Aborting settles nothing: who aborts does not listen any more. */
export interface Dial {
  abort(): void;
}

/** `host:port` as the agent would print it. */
export function printDestination(query: DestinationQuery): string {
  return `${query.host ?? 'localhost'}:${query.port}`;
}

const isPort = (port: number) => Number.isInteger(port) && port > 0 && port < 65_536;

/**
 * Connects, without a time limit but the system's. Exactly one of the two is called, in a later turn, unless aborted before.
 *
 * @param failed gets the reason in the words of the agent's system: `connection refused`
 */
export function dialDestination(
  destination: Destination,
  clock: Clock,
  connected: (socket: Socket) => void,
  failed: (reason: string) => void,
): Dial {
  if (destination.kind !== 'address' || !isPort(destination.port)) {
    const [delay, reason] =
      destination.kind === 'silent'
        ? [SYSTEM_CONNECT_LIMIT, 'connection timed out']
        : [0, destination.kind === 'unknown-name' ? 'no such host' : 'connection refused'];
    const timer = clock.after(delay, () => failed(reason));
    return { abort: () => timer.cancel() };
  }
  const socket = connect({ host: destination.host, port: destination.port, noDelay: true });
  const onError = (error: NodeJS.ErrnoException) => {
    socket.destroy();
    failed(error.code === 'ECONNREFUSED' ? 'connection refused' : error.message);
  };
  socket.once('error', onError);
  socket.once('connect', () => {
    socket.off('error', onError);
    connected(socket);
  });
  return {
    abort: () => {
      socket.removeAllListeners();
      socket.on('error', () => {});
      socket.destroy();
    },
  };
}

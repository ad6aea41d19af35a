import { connect, type Socket } from 'node:net';
import { formatEndpoint, type RemoteEndpoint } from '../domain/endpoint.ts';
import { CloudtunError, systemCode } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { QUIET } from '../forward/core/limits.ts';
import type { ClientReport } from '../forward/local-client.ts';
import { withDeadline } from '../runtime/deadline.ts';
import type { World } from '../runtime/world.ts';
import type { RemoteCaller } from '../ssh/remote-ports.ts';
import type { LocalMemory } from '../transport/local-memory.ts';
import type { PeerWatch } from '../transport/peer-watch.ts';
import { reset, Splice } from '../transport/splice.ts';

/** A service on this machine or beside it; one that takes longer does not work (guessed). */
const CONNECT_LIMIT: Millis = 10_000;
/** Below common middlebox limits, as on every local connection (spec section 5.6). */
const KEEP_ALIVE_DELAY: Millis = 25_000;

/** What a connection to the service needs. */
export interface RemoteClientContext {
  readonly world: World;
  readonly peers: PeerWatch;
  readonly memory: LocalMemory;
}

/**
 * Somebody who connected to an exposed port: from the connection to the service on this side to the last byte. It is taken only when
 * the service has taken ours, so a service that is down looks like one to the caller as well.
 */
export class RemoteClient {
  /** `10.0.0.7:51234` */
  readonly from: string;
  onMoved: ((byteCount: number) => void) | undefined;
  readonly #context: RemoteClientContext;
  readonly #caller: RemoteCaller;
  readonly #service: Required<RemoteEndpoint>;
  readonly #leaving = new AbortController();
  #splice: Splice | undefined;

  constructor(context: RemoteClientContext, caller: RemoteCaller, service: Required<RemoteEndpoint>) {
    this.#context = context;
    this.#caller = caller;
    this.#service = service;
    this.from = formatEndpoint(caller.from);
  }

  /** Settles after both sides are closed; never rejects. */
  async serve(): Promise<ClientReport> {
    const { world, peers, memory } = this.#context;
    const { signal } = this.#leaving;
    let socket: Socket;
    try {
      const open = (limited: AbortSignal) => connected(this.#service, limited);
      socket = await withDeadline(world.clock, CONNECT_LIMIT, open, signal);
    } catch (cause) {
      this.#caller.refuse();
      return { bytesUp: 0, bytesDown: 0, ...(!signal.aborted && { error: serviceError(this.#service, cause) }) };
    }
    this.#splice = new Splice(world, peers, memory, socket, this.#caller.accept(), (byteCount) =>
      this.onMoved?.(byteCount),
    );
    if (signal.aborted) this.#splice.cut();
    const { bytesUp, bytesDown, error } = await this.#splice.closed;
    return { bytesUp, bytesDown, ...(error && { error }) };
  }

  /** 0 while it waits for the service, or bytes are on their way. */
  moved(): { readonly bytesUp: number; readonly bytesDown: number } {
    return { bytesUp: this.#splice?.bytesUp ?? 0, bytesDown: this.#splice?.bytesDown ?? 0 };
  }

  quietFor(): Millis {
    return this.#splice?.quietFor() ?? 0;
  }

  /** As LocalClient: a regular end where nothing moves, else a cut. */
  end(): void {
    if (this.#splice && this.#splice.quietFor() >= QUIET) this.#splice.close();
    else this.cut();
  }

  cut(): void {
    this.#leaving.abort(new CloudtunError('CT_INTERRUPTED', 'the port is closed'));
    this.#splice?.cut();
  }
}

function connected(to: Required<RemoteEndpoint>, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const socket = connect({
      ...to,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_DELAY,
      autoSelectFamily: true,
    });
    const onAbort = () => {
      reset(socket);
      reject(signal.reason);
    };
    // This one stays on: after the connect, the splice listens as well.
    socket.on('error', (error) => {
      signal.removeEventListener('abort', onAbort);
      reject(error);
    });
    socket.once('connect', () => {
      signal.removeEventListener('abort', onAbort);
      resolve(socket);
    });
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

const WHY: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there',
  ENOTFOUND: 'its name does not exist',
  EAI_AGAIN: 'its name cannot be resolved now',
  EHOSTUNREACH: 'there is no route to it',
  ENETUNREACH: 'there is no route to it',
  ETIMEDOUT: 'it did not answer in time',
};

function serviceError(service: Required<RemoteEndpoint>, cause: unknown): CloudtunError {
  const code = systemCode(cause) ?? (cause instanceof AggregateError ? systemCode(cause.errors[0]) : undefined);
  const isLate = cause instanceof DOMException && cause.name === 'TimeoutError';
  const why = isLate ? WHY.ETIMEDOUT : (WHY[code ?? ''] ?? code ?? 'it failed');
  return new CloudtunError('CT_LOCAL_SERVICE', `${formatEndpoint(service)} on this side cannot be reached: ${why}`, {
    hint: 'start the service, or name another one with --local',
    cause,
  });
}

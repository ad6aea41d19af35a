/**
 * A connection to the relay that stands before anybody needs it: TCP and TLS are done, nothing was said yet, so no session exists and no
 * backend is touched. The next stream saves their round trips. Kept while the tunnel is in use, and replaced before the far end or
 * a box on the way forgets it.
 */
import type { Socket } from 'node:net';
import type { Millis } from '../../domain/millis.ts';
import type { IapRelayTicket } from '../../domain/ticket.ts';
import type { Timer } from '../../runtime/clock.ts';
import type { World } from '../../runtime/world.ts';
import type { RelayRoute } from './relay-options.ts';

/** Guessed, all of them: web front ends wait from some ten seconds up for the first request. */
const LONGEST_AGE_MS = 30_000;
/** After the last stream was opened no new spare replaces an old one. */
const IN_USE_MS = 120_000;
/** Streams that are opened closer together than this want two. */
const BUSY_MS = 5_000;
const CONNECT_LIMIT_MS = 10_000;
/** A handshake costs some milliseconds of processor time, which the stream that was just opened needs more. */
const AFTER_OPENING_MS = 100;

interface Spare {
  readonly socket: Socket;
  /** Which relay it leads to, and as whom. */
  readonly key: string;
  readonly timer: Timer;
}

export class SpareConnections {
  readonly #world: World;
  readonly #route: RelayRoute;
  readonly #abort = new AbortController();
  #spares: Spare[] = [];
  #opening = 0;
  #usedAt: Millis = Number.NEGATIVE_INFINITY;
  #wanted = 1;
  #soon: Timer | undefined;

  constructor(world: World, route: RelayRoute) {
    this.#world = world;
    this.#route = route;
  }

  get count(): number {
    return this.#spares.length;
  }

  /** One that leads where `ticket` leads, if there is one; the caller owns it then. */
  take(ticket: IapRelayTicket): Socket | undefined {
    const key = keyOf(ticket);
    const found = this.#spares.findLast((spare) => spare.key === key && isFresh(spare.socket));
    if (found === undefined) return undefined;
    this.#forget(found);
    found.socket.ref();
    return found.socket;
  }

  /** A stream was opened: the next one may come soon. */
  prepare(ticket: IapRelayTicket): void {
    const now = this.#world.clock.now();
    this.#wanted = now - this.#usedAt < BUSY_MS ? 2 : 1;
    this.#usedAt = now;
    if (this.#route.connect === undefined || !ticket.root.startsWith('wss:') || this.#soon !== undefined) return;
    this.#soon = this.#world.clock.after(
      AFTER_OPENING_MS,
      () => {
        this.#soon = undefined;
        this.#fill(ticket);
      },
      { background: true },
    );
  }

  close(): void {
    this.#soon?.cancel();
    this.#abort.abort(new DOMException('closed', 'AbortError'));
    for (const spare of [...this.#spares]) this.#drop(spare);
  }

  #fill(ticket: IapRelayTicket): void {
    while (!this.#abort.signal.aborted && this.#spares.length + this.#opening < this.#wanted) void this.#open(ticket);
  }

  /** Never rejects: whoever needs a connection will find out what is wrong, and say so. */
  async #open(ticket: IapRelayTicket): Promise<void> {
    const { clock } = this.#world;
    this.#opening += 1;
    const late = new AbortController();
    const limit = clock.after(CONNECT_LIMIT_MS, () => late.abort(), { background: true });
    try {
      const signal = AbortSignal.any([this.#abort.signal, late.signal]);
      const socket = await this.#route.connect!(ticket.root, ticket.clientCertificate, signal);
      this.#adopt(socket, ticket);
    } catch {
      this.#world.log.debug('no spare connection to the relay could be opened');
    } finally {
      limit.cancel();
      this.#opening -= 1;
    }
  }

  #adopt(socket: Socket, ticket: IapRelayTicket): void {
    if (this.#abort.signal.aborted) {
      socket.destroy();
      return;
    }
    const timer = this.#world.clock.after(
      LONGEST_AGE_MS,
      () => {
        this.#drop(spare);
        if (this.#world.clock.now() - this.#usedAt < IN_USE_MS) this.#fill(ticket);
      },
      { background: true },
    );
    const spare: Spare = { socket, key: keyOf(ticket), timer };
    this.#spares.push(spare);
    socket.unref();
    // From now on for good: an error that nobody listens to ends the process.
    socket.on('error', () => this.#forget(spare));
    socket.once('close', () => this.#forget(spare));
  }

  #forget(spare: Spare): void {
    spare.timer.cancel();
    this.#spares = this.#spares.filter((other) => other !== spare);
  }

  #drop(spare: Spare): void {
    this.#forget(spare);
    spare.socket.destroy();
  }
}

/** Nothing was said on it, by either side. */
const isFresh = (socket: Socket) =>
  !socket.destroyed && socket.readable && socket.writable && socket.readableLength === 0;

const keyOf = ({ root, clientCertificate }: IapRelayTicket) => `${root} ${clientCertificate?.certificate ?? ''}`;

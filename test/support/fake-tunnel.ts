import type { HopOpener, TunnelOpener } from '../../src/broker/broker-types.ts';
import { NO_FIGURES } from '../../src/broker/sum-figures.ts';
import type { CloudtunError } from '../../src/domain/errors.ts';
import type { SsmSessionTicket, TicketSource } from '../../src/domain/ticket.ts';
import type { TunnelEventListener } from '../../src/domain/tunnel-event.ts';
import type { Tunnel, TunnelEnd, TunnelStats } from '../../src/transport/tunnel.ts';
import { FakeStream } from './fake-stream.ts';

/** A tunnel whose far side is the test. */
export class FakeTunnel implements Tunnel {
  readonly closed: Promise<TunnelEnd>;
  readonly streams: FakeStream[] = [];
  readonly ticket: SsmSessionTicket;
  readonly onEvent: TunnelEventListener;
  isDisposed = false;
  /** Thrown by `open` when set. */
  openFailure: CloudtunError | undefined;
  newStream: () => FakeStream = () => new FakeStream();
  readonly #source: TicketSource<SsmSessionTicket>;
  #end!: (end: TunnelEnd) => void;

  constructor(source: TicketSource<SsmSessionTicket>, ticket: SsmSessionTicket, onEvent: TunnelEventListener) {
    this.#source = source;
    this.ticket = ticket;
    this.onEvent = onEvent;
    this.closed = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  async open(): Promise<FakeStream> {
    if (this.openFailure) throw this.openFailure;
    const stream = this.newStream();
    this.streams.push(stream);
    return stream;
  }

  stats(): TunnelStats {
    const openStreams = this.streams.filter((stream) => !stream.destroyed).length;
    return { ...NO_FIGURES, openStreams, sessions: 1 };
  }

  /** The session is over, and every stream with it. */
  lose(error: CloudtunError): void {
    for (const stream of this.streams) stream.destroy(error);
    this.#end({ reason: 'lost', error });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.isDisposed) return;
    this.isDisposed = true;
    for (const stream of this.streams) stream.destroy();
    await this.#source.release(this.ticket);
    this.onEvent({ type: 'session-ended', sessionId: this.ticket.sessionId, reason: 'closed by us' });
    this.#end({ reason: 'closed-by-us' });
  }
}

/** A transport that makes fake tunnels, one session each. */
export function fakeTransport(): {
  connect: TunnelOpener;
  tunnels: FakeTunnel[];
  prepare: (tunnel: FakeTunnel) => void;
} {
  const transport: { connect: TunnelOpener; tunnels: FakeTunnel[]; prepare: (tunnel: FakeTunnel) => void } = {
    tunnels: [],
    prepare: () => {},
    connect: async (anySource, to, onEvent, signal) => {
      const source = anySource as TicketSource<SsmSessionTicket>;
      const tunnel = new FakeTunnel(source, await source.issue(to, signal), onEvent);
      transport.prepare(tunnel);
      transport.tunnels.push(tunnel);
      onEvent({ type: 'session-started', sessionId: tunnel.ticket.sessionId });
      return tunnel;
    },
  };
  return transport;
}

/** For tests in which nothing is logged in to. */
export const noHop: HopOpener = () => {
  throw new Error('nobody should be logged in to');
};

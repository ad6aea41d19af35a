import type { Duplex } from 'node:stream';
import { formatEndpoint } from '../domain/endpoint.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { ForwardReport, RunningForward } from '../forward/forward-types.ts';
import type { LocalAddress, OpenTunnel, TunnelEnd, TunnelStatus } from './tunnel-types.ts';

/** A forward of one rule as a program holds it, with everything that was opened for it. */
export class HeldTunnel implements OpenTunnel {
  readonly local: readonly LocalAddress[];
  readonly closed: Promise<TunnelEnd>;
  readonly #forward: RunningForward;

  /** @param lifetime what has to be closed after the forward, itself included */
  constructor(forward: RunningForward, lifetime: AsyncDisposable, onClosed: (report: ForwardReport) => void) {
    this.#forward = forward;
    this.local = forward.local[0] ?? [];
    this.closed = forward.closed.then(async (report) => {
      // It is over either way; what does not close in order has been warned of.
      await Promise.resolve(lifetime[Symbol.asyncDispose]()).catch(() => {});
      onClosed(report);
      return report;
    });
  }

  get host(): string {
    return this.#first.host;
  }

  get port(): number {
    return this.#first.port;
  }

  get address(): string {
    return formatEndpoint(this.#first);
  }

  status(): TunnelStatus {
    return this.#forward.status();
  }

  connect({
    signal = new AbortController().signal,
  }: {
    readonly signal?: AbortSignal | undefined;
  } = {}): Promise<Duplex> {
    return this.#forward.connect(0, 'this process', signal);
  }

  close(): Promise<TunnelEnd> {
    this.#forward.drain('ended');
    return this.closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#forward.cut('ended');
    await this.closed;
  }

  get #first(): LocalAddress {
    const [first] = this.local;
    if (first !== undefined) return first;
    throw new CloudtunError('CT_USAGE', 'the tunnel was opened without a local port', { hint: 'use connect()' });
  }
}

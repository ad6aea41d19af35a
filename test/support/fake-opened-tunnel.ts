import type { ClientRecord, EndRecord, OpenedTunnel } from '../../src/broker/broker-types.ts';
import { NO_FIGURES } from '../../src/broker/sum-figures.ts';
import { formatEndpoint, type RemoteEndpoint } from '../../src/domain/endpoint.ts';
import type { CloudtunError } from '../../src/domain/errors.ts';
import type { Route } from '../../src/domain/target.ts';
import { ALICE, BASTION, ORDERS } from './fake-provider.ts';
import { FakeStream } from './fake-stream.ts';

/** What the broker gives, without a broker: every dial is a fake stream, and everything that was said to it is kept. */
export class FakeOpenedTunnel implements OpenedTunnel {
  readonly target = ORDERS;
  readonly identity = ALICE;
  readonly routes: readonly Route[];
  readonly lost: Promise<CloudtunError>;
  /** `to` of each dial, with its stream. */
  readonly dials: { readonly to: string; readonly stream: FakeStream }[] = [];
  readonly clients: ClientRecord[] = [];
  readonly denials: CloudtunError[] = [];
  readonly ends: EndRecord[] = [];
  /** Replaced by tests: what a dial gives, or throws. */
  newStream: (to: RemoteEndpoint, signal: AbortSignal) => FakeStream | Promise<FakeStream> = () => new FakeStream();
  isDisposed = false;
  lose!: (error: CloudtunError) => void;

  constructor(endpoints: readonly RemoteEndpoint[] = [ORDERS.endpoint]) {
    this.routes = endpoints.map((to) => ({
      provider: 'aws',
      target: ORDERS,
      node: BASTION,
      to,
      reasons: [],
      rejected: [],
    }));
    this.lost = new Promise((resolve) => {
      this.lose = resolve;
    });
  }

  readonly dialer: OpenedTunnel['dialer'] = {
    dial: async (to, signal) => {
      signal.throwIfAborted();
      const stream = await this.newStream(to, signal);
      this.dials.push({ to: formatEndpoint(to), stream });
      return stream;
    },
    [Symbol.asyncDispose]: async () => {},
  };

  stats() {
    return { ...NO_FIGURES, sessions: 1, roundTripMs: 12 };
  }

  client(record: ClientRecord): void {
    this.clients.push(record);
  }

  denied(error: CloudtunError): void {
    this.denials.push(error);
  }

  runs(): void {}

  ended(record: EndRecord): void {
    this.ends.push(record);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isDisposed = true;
    for (const { stream } of this.dials) stream.destroy();
  }
}

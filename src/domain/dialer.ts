import type { Duplex } from 'node:stream';
import type { Congestion } from './congestion.ts';
import type { RemoteEndpoint } from './endpoint.ts';

/** Takes pieces of bytes, `byteCount` in all, that are good during the call only. */
export type Borrow = (pieces: readonly Buffer[], byteCount: number) => void;

/**
 * One byte conversation inside a tunnel. Destroyed with a CloudtunError when the far side refuses or the tunnel breaks. What is given to
 * `write` belongs to the stream until the callback of that write; then the writer may use the memory again.
 */
export interface TunnelStream extends Duplex {
  /**
   * Settles when the far side is known to have taken the request to connect: resolves with how sure that is, rejects with the
   * CloudtunError that the stream is destroyed with. `acknowledged`: the request was taken and nothing refused it so far (SSM has
   * no positive answer, docs/protocol/smux.md, "Opening"); `connected`: the far connection stands (IAP says so); `answered`: the
   * remote side sent bytes.
   */
  readonly accepted: Promise<'acknowledged' | 'connected' | 'answered'>;
  /**
   * Where there is a borrower, bytes that arrive while the stream flows and nothing waits in it are lent to it: they are its own during
   * the call only, and do not come as `data`. What waits comes as `data`; the order is kept. One borrower, for the life of the stream;
   * absent where a stream cannot lend.
   */
  lendTo?(borrow: Borrow): void;
  /** Shared by the streams of one session; absent where every stream has a window of its own. */
  readonly congestion?: Congestion;
}

/** Everything that can reach somewhere. Hops compose; forward, socks, ssh and exec serve any Dialer. */
export interface Dialer extends AsyncDisposable {
  /**
   * Opens a stream to an endpoint as seen from the far end. Resolves as soon as bytes may be written; a refusal that comes later
   * destroys the stream.
   *
   * @throws CloudtunError when no session can be had, or `signal` aborts
   */
  dial(to: RemoteEndpoint, signal: AbortSignal): Promise<TunnelStream>;
}

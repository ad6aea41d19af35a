import type { Dialer, TunnelStream } from '../domain/dialer.ts';
import type { RemoteEndpoint } from '../domain/endpoint.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import type { Clock } from '../runtime/clock.ts';
import { unlessAborted } from '../runtime/deadline.ts';

/**
 * Session Manager says when it took a request to connect and when the connection failed, never that it stands (docs/protocol/smux.md,
 * "Opening"). A refusal inside a network comes within milliseconds of the first, so waiting a little tells most clients the truth.
 * Guessed: more would be felt at every connection of a page.
 */
const REFUSAL_TIME: Millis = 40;

/**
 * Dials, and waits until the far connection stands as far as the transport can tell.
 *
 * @throws CloudtunError of the dial or of the refusal; the reason of `signal`
 */
export async function dialChecked(
  dialer: Dialer,
  to: RemoteEndpoint,
  clock: Clock,
  signal: AbortSignal,
): Promise<TunnelStream> {
  const stream = await dialer.dial(to, signal);
  // Until the client's side is joined, what goes wrong is looked at here.
  stream.on('error', () => {});
  try {
    const how = await unlessAborted(stream.accepted, signal);
    if (how === 'acknowledged' && !stream.destroyed) await quietOrOver(stream, clock, signal);
    signal.throwIfAborted();
    if (stream.errored) throw stream.errored;
    if (stream.destroyed) throw new CloudtunError('CT_REMOTE_REFUSED', 'the far side closed the connection at once');
    return stream;
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

/** Until the far side says something, breaks the stream off, or did neither for a moment. */
function quietOrOver(stream: TunnelStream, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      timer.cancel();
      stream.off('readable', onReadable);
      stream.off('close', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const onReadable = () => {
      if (stream.readableLength > 0) done();
    };
    const timer = clock.after(REFUSAL_TIME, done, { background: true });
    stream.on('readable', onReadable);
    stream.on('close', done);
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted || stream.destroyed || stream.readableLength > 0) done();
  });
}

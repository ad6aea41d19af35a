import type { Socket } from 'node:net';
import type { TunnelStream } from '../domain/dialer.ts';
import { ERROR_CATALOGUE } from '../domain/error-catalogue.ts';
import { asCloudtunError } from '../domain/errors.ts';

/** A session that was lost is followed by another one; a third loss in a row is worth telling. */
const SESSIONS_TRIED = 3;

/**
 * A stream that the far side took, or that the client has begun to use. Where its session is lost before that, nothing was said in either
 * direction, so another session serves as well: a client that connects in the moment in which a session ends need not know.
 *
 * @param dial asked again after such a loss
 * @throws what `dial` throws
 */
export async function begunStream(
  dial: () => Promise<TunnelStream>,
  socket: Socket,
  signal: AbortSignal,
): Promise<TunnelStream> {
  for (let tried = 1; ; tried += 1) {
    const stream = await dial();
    if (tried === SESSIONS_TRIED || !(await isLostUnused(stream, socket, signal))) return stream;
  }
}

function isLostUnused(stream: TunnelStream, socket: Socket, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (isLost: boolean) => {
      socket.off('readable', begin);
      socket.off('end', begin);
      socket.off('close', begin);
      signal.removeEventListener('abort', begin);
      resolve(isLost);
    };
    const begin = () => settle(false);
    // Whoever joins the two listens from then on; a failure in between is no failure of the process.
    stream.on('error', () => {});
    stream.accepted.then(begin, (thrown: unknown) => {
      const { kind } = ERROR_CATALOGUE[asCloudtunError(thrown).code];
      settle(!signal.aborted && (kind === 'lost' || kind === 'network'));
    });
    socket.on('readable', begin);
    socket.on('end', begin);
    socket.on('close', begin);
    signal.addEventListener('abort', begin, { once: true });
    if (signal.aborted || socket.destroyed || socket.readableLength > 0 || socket.readableEnded) begin();
  });
}

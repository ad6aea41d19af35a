/**
 * Reads of one turn of the event loop, handed on as one piece. TLS gives its records one by one, 16 KiB each, and a message of the relay is
 * a little longer than a record: `ws` would put every message together from two pieces, in memory of its own. Of a larger piece it takes
 * views.
 */
import type { Socket } from 'node:net';
import type { Timer } from '../../runtime/clock.ts';
import { readInto } from '../../runtime/socket-reading.ts';

const BLOCK_BYTES = 256 * 1024;
/** A read of this length has more behind it: a whole TLS record, or all that Node asks of a plain socket at once. */
const isFull = (byteCount: number) => byteCount === 16_384 || byteCount === 65_536;

/** @param soon runs a call in this turn of the event loop, after the reads */
export function gatherReads(socket: Socket, soon: (call: () => void) => Timer): void {
  let block = Buffer.alloc(0);
  let from = 0;
  let used = 0;
  let timer: Timer | undefined;
  const push = socket.push.bind(socket);
  const flush = (): boolean => {
    timer?.cancel();
    timer = undefined;
    if (from === used) return true;
    const piece = block.subarray(from, used);
    from = used;
    return push(piece);
  };
  const flushSoon = () => void flush();
  const isShared = readInto(socket, (bytes) => {
    if (block.length - used < bytes.length) {
      flush();
      block = Buffer.allocUnsafeSlow(Math.max(BLOCK_BYTES, bytes.length));
      from = 0;
      used = 0;
    }
    block.set(bytes, used);
    used += bytes.length;
    if (!isFull(bytes.length)) return flush();
    timer ??= soon(flushSoon);
    return true;
  });
  if (!isShared) return;
  // The end, and what is pushed while the stream is paused, must not overtake what was gathered.
  socket.push = (chunk, encoding) => {
    flush();
    return push(chunk, encoding);
  };
}

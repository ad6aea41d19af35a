/**
 * Really stops a socket from reading. `pause()` alone does not: Node goes on filling the socket's own buffer to its high-water mark,
 * 64 KiB of each, and with a thousand clients that is the memory a tunnel may use several times over. Node itself stops the handle
 * for `pauseOnConnect` and for its `onread` option, but offers neither for a socket that was accepted earlier; so this reaches for
 * the handle, and does nothing more than `pause` and `resume` where there is none.
 */
import type { Socket } from 'node:net';

interface ReadingHandle {
  reading: boolean;
  readStop(): number;
  readStart(): number;
}

function handleOf(socket: Socket): ReadingHandle | undefined {
  const { _handle: handle } = socket as Socket & { readonly _handle?: Partial<ReadingHandle> | null };
  const isUsable =
    handle !== undefined &&
    handle !== null &&
    typeof handle.reading === 'boolean' &&
    typeof handle.readStop === 'function' &&
    typeof handle.readStart === 'function';
  return isUsable && !socket.destroyed ? (handle as ReadingHandle) : undefined;
}

export function stopReading(socket: Socket): void {
  socket.pause();
  const handle = handleOf(socket);
  if (!handle?.reading) return;
  handle.reading = false;
  handle.readStop();
}

export function startReading(socket: Socket): void {
  socket.resume();
  const handle = handleOf(socket);
  if (handle === undefined || handle.reading) return;
  handle.reading = true;
  handle.readStart();
}

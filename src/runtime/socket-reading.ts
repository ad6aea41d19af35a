/**
 * Really stops a socket from reading. `pause()` alone does not: Node goes on filling the socket's own buffer to its high-water mark,
 * 64 KiB of each, and with a thousand clients that is the memory a tunnel may use several times over. Node itself stops the handle
 * for `pauseOnConnect` and for its `onread` option, but offers neither for a socket that was accepted earlier; so this reaches for
 * the handle, and does nothing more than `pause` and `resume` where there is none.
 */
import { Socket } from 'node:net';
import { platform } from 'node:process';

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

/** What every socket reads into: the bytes are taken before the next read, of whichever socket it is. Node's own size of a read. */
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);

/** Takes what was read. The bytes are good during the call only. False: read no more until `startReading` or `resume`. */
export type TakeRead = (bytes: Buffer) => boolean;

type ReadingInto = Socket & { [key: symbol]: unknown };

interface UserBufferHandle {
  useUserBuffer(buffer: Buffer): void;
}

/** The names under which a socket keeps what its `onread` option gave; undefined where Node keeps it otherwise. */
const USER_BUFFER_KEYS = userBufferKeys();

function userBufferKeys(): { readonly buffer: symbol; readonly callback: symbol } | undefined {
  // On Windows a read is under way in the kernel, into its buffer, while other sockets are read.
  if (platform === 'win32') return undefined;
  const keys = Object.getOwnPropertySymbols(new Socket());
  const keyOf = (name: string) => keys.find((key) => key.description === name);
  const buffer = keyOf('kBuffer');
  const callback = keyOf('kBufferCb');
  return buffer !== undefined && callback !== undefined && keyOf('kBufferGen') !== undefined
    ? { buffer, callback }
    : undefined;
}

/**
 * Reads a socket into one buffer that all sockets share, where Node allocates 64 KiB for every read: the garbage of a thousand busy
 * clients is tens of megabytes otherwise, and so is what the allocator keeps of it. It is Node's documented `onread` option, which can
 * be given to a new socket only; so this sets what that option would have set.
 *
 * @returns false, and nothing is changed, where that is not possible: then the socket emits `data` as ever. What waits in the stream
 *   already, and what arrives while it is paused, comes as `data` in any case; the order is kept
 */
export function readInto(socket: Socket, take: TakeRead): boolean {
  const { _handle: handle } = socket as Socket & { readonly _handle?: Partial<UserBufferHandle> | null };
  if (USER_BUFFER_KEYS === undefined || typeof handle?.useUserBuffer !== 'function' || socket.destroyed) return false;
  const keyed = socket as ReadingInto;
  if (keyed[USER_BUFFER_KEYS.buffer] !== null) return false;
  keyed[USER_BUFFER_KEYS.buffer] = READ_BUFFER;
  keyed[USER_BUFFER_KEYS.callback] = (byteCount: number) => {
    const bytes = READ_BUFFER.subarray(0, byteCount);
    // Behind bytes that wait in the stream, or while it is paused, the stream is where they belong.
    if (socket.readableFlowing === false || socket.readableLength > 0) return socket.push(Buffer.from(bytes));
    return take(bytes);
  };
  handle.useUserBuffer(READ_BUFFER);
  return true;
}

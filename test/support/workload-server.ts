/**
 * A TCP service for transfers: the first line says what to do, everything is checked by the caller.
 *
 * - `ECHO\n` gives back every byte that follows
 * - `SINK <n>\n` reads n bytes and answers with their SHA-256 in hex
 * - `SEND <n> <seed>\n` sends n bytes of a known pattern (see `patternChunk`)
 * - `MUTE\n` never reads again
 * - `DRAIN <n>\n` and `FLOOD <n>\n` are SINK and SEND without pattern and digest, for the bench
 */
import { createHash } from 'node:crypto';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

const CHUNK_BYTES = 64 * 1024;

/** Part `index` of an endless pattern: different for every seed and every place, and cheap to make. */
export function patternChunk(seed: number, index: number, byteCount = CHUNK_BYTES): Buffer {
  const chunk = Buffer.alloc(byteCount, (seed * 31 + index) & 0xff);
  for (let at = 0; at + 8 <= byteCount; at += 512) {
    chunk.writeUInt32LE(index >>> 0, at);
    chunk.writeUInt32LE((seed ^ at) >>> 0, at + 4);
  }
  return chunk;
}

/** SHA-256, in hex, of the first `byteCount` bytes of a pattern. */
export function patternDigest(seed: number, byteCount: number): string {
  const digest = createHash('sha256');
  for (let sent = 0, index = 0; sent < byteCount; index++) {
    const chunk = patternChunk(seed, index, Math.min(CHUNK_BYTES, byteCount - sent));
    digest.update(chunk);
    sent += chunk.length;
  }
  return digest.digest('hex');
}

/** Pieces of a pattern, as many as make `byteCount`. */
export function* patternPieces(seed: number, byteCount: number): Generator<Buffer> {
  for (let sent = 0, index = 0; sent < byteCount; index++) {
    const chunk = patternChunk(seed, index, Math.min(CHUNK_BYTES, byteCount - sent));
    sent += chunk.length;
    yield chunk;
  }
}

export class WorkloadServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  connections = 0;

  private constructor() {
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.connections++;
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => {});
      socket.setNoDelay(true);
      serve(socket);
    });
  }

  static async start(): Promise<WorkloadServer> {
    const server = new WorkloadServer();
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get address(): { host: string; port: number } {
    return { host: '127.0.0.1', port: (this.#server.address() as AddressInfo).port };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function serve(socket: Socket): void {
  let head = Buffer.alloc(0);
  const onHead = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf(10);
    if (end < 0) return;
    socket.off('data', onHead);
    const [verb, count, seed] = head.subarray(0, end).toString('latin1').split(' ');
    const rest = head.subarray(end + 1);
    if (verb === 'ECHO') {
      if (rest.length > 0) socket.write(rest);
      socket.pipe(socket);
    } else if (verb === 'SINK') sink(socket, rest, Number(count));
    else if (verb === 'SEND') send(socket, Number(count), Number(seed));
    else if (verb === 'DRAIN') drain(socket, rest, Number(count));
    else if (verb === 'FLOOD') pour(socket, constantPieces(Number(count)));
    else if (verb === 'MUTE') socket.pause();
    else socket.destroy();
  };
  socket.on('data', onHead);
  socket.on('end', () => {
    if (head.length === 0) socket.end();
  });
}

function sink(socket: Socket, first: Buffer, byteCount: number): void {
  const digest = createHash('sha256');
  let left = byteCount;
  const take = (chunk: Buffer) => {
    digest.update(chunk);
    left -= chunk.length;
    if (left <= 0) {
      socket.off('data', take);
      socket.end(digest.digest('hex'));
    }
  };
  socket.on('data', take);
  if (first.length > 0) take(first);
}

function drain(socket: Socket, first: Buffer, byteCount: number): void {
  let left = byteCount - first.length;
  socket.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left <= 0) socket.end('done');
  });
}

const CONSTANT_CHUNK = Buffer.alloc(CHUNK_BYTES, 'x');

function* constantPieces(byteCount: number): Generator<Buffer> {
  for (let left = byteCount; left > 0; left -= CHUNK_BYTES)
    yield CONSTANT_CHUNK.subarray(0, Math.min(left, CHUNK_BYTES));
}

function send(socket: Socket, byteCount: number, seed: number): void {
  pour(socket, patternPieces(seed, byteCount));
}

function pour(socket: Socket, pieces: Generator<Buffer>): void {
  const fill = () => {
    for (let next = pieces.next(); !next.done; next = pieces.next()) if (!socket.write(next.value)) return;
    socket.off('drain', fill);
    socket.end();
  };
  socket.on('drain', fill);
  socket.resume();
  fill();
}

/** Local clients of a forward, each with a limit to its patience. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { download, echo, upload } from '../support/transfers.ts';
import { patternDigest } from '../support/workload-server.ts';
import { within } from './within.ts';

/** Between two attempts of a client that does not wait to be told; small against what is measured. */
const RETRY_MS = 10;

export async function connected(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  await once(socket, 'connect');
  // What goes wrong later is seen as bytes that do not come.
  socket.on('error', () => {});
  return socket;
}

/** Runs `use` with a connection that is closed afterwards, whatever happens. */
export async function withConnection<T>(
  port: number,
  limitMs: number,
  what: string,
  use: (socket: Socket) => Promise<T>,
): Promise<T> {
  const socket = await within(limitMs, `${what}: no connection`, connected(port));
  try {
    return await within(limitMs, what, use(socket));
  } finally {
    socket.destroy();
  }
}

/** Sends random bytes to something that echoes. @throws when other bytes come back */
export async function echoExactly(port: number, byteCount: number, limitMs: number): Promise<void> {
  const bytes = randomBytes(byteCount);
  const back = await withConnection(port, limitMs, `${byteCount} bytes were not echoed`, (socket) =>
    echo(socket, bytes),
  );
  if (!back.equals(bytes)) throw new Error(`of ${byteCount} echoed bytes some were changed (${sha256(back)})`);
}

/** To the workload server. Resolves with the milliseconds. @throws when its digest is another one */
export async function uploadExactly(port: number, byteCount: number, limitMs: number): Promise<number> {
  const seed = randomBytes(2).readUInt16BE();
  const began = performance.now();
  const digest = await withConnection(port, limitMs, `${byteCount} bytes were not uploaded`, (socket) =>
    upload(socket, byteCount, seed),
  );
  return exact(digest, seed, byteCount, began);
}

/** From the workload server. Resolves with the milliseconds. @throws when other bytes come */
export async function downloadExactly(port: number, byteCount: number, limitMs: number): Promise<number> {
  const seed = randomBytes(2).readUInt16BE();
  const began = performance.now();
  const digest = await withConnection(port, limitMs, `${byteCount} bytes were not downloaded`, (socket) =>
    download(socket, byteCount, seed),
  );
  return exact(digest, seed, byteCount, began);
}

function exact(digest: string, seed: number, byteCount: number, began: number): number {
  const ms = performance.now() - began;
  if (digest !== patternDigest(seed, byteCount)) throw new Error(`the SHA-256 of ${byteCount} bytes is another one`);
  return ms;
}

/** The first byte from the far side; `question` is sent first, where the far side does not begin. */
export async function firstByte(port: number, question: Buffer, limitMs: number): Promise<void> {
  await withConnection(port, limitMs, 'no first byte', async (socket) => {
    const data = once(socket, 'data');
    if (question.length > 0) socket.write(question);
    await data;
  });
}

/** As `firstByte`, by a client that tries again and again from now on. */
export async function firstByteByTrying(port: number, question: Buffer, limitMs: number): Promise<void> {
  const end = performance.now() + limitMs;
  for (;;) {
    if (await isAnswered(port, question, Math.max(1, end - performance.now()))) return;
    if (performance.now() > end) throw new Error(`no first byte (within ${limitMs} ms)`);
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

async function isAnswered(port: number, question: Buffer, limitMs: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  try {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    socket.on('data', () => resolve(true));
    socket.on('close', () => resolve(false));
    socket.on('error', () => resolve(false));
    socket.on('connect', () => socket.write(question));
    return await within(limitMs, 'no first byte', promise);
  } finally {
    socket.destroy();
  }
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

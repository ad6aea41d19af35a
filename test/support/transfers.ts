/** Whole transfers over a stream to a WorkloadServer, each with its proof. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { patternDigest, patternPieces } from './workload-server.ts';

/** Sends a pattern; resolves with the digest that the far side computed. */
export async function upload(stream: Duplex, byteCount: number, seed: number): Promise<string> {
  const answer = readAll(stream);
  stream.write(`SINK ${byteCount}\n`);
  for (const piece of patternPieces(seed, byteCount))
    if (!stream.write(piece)) await Promise.race([once(stream, 'drain'), answer]);
  return (await answer).toString('latin1');
}

/** Receives a pattern; resolves with the digest of what came. */
export async function download(stream: Duplex, byteCount: number, seed: number): Promise<string> {
  stream.write(`SEND ${byteCount} ${seed}\n`);
  const digest = createHash('sha256');
  for await (const chunk of stream) digest.update(chunk as Buffer);
  return digest.digest('hex');
}

export async function readAll(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Writes and waits until as many bytes came back. */
export async function echo(stream: Duplex, bytes: Buffer): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  let received = 0;
  const onData = (chunk: Buffer) => {
    chunks.push(chunk);
    received += chunk.length;
    if (received >= bytes.length) done(() => resolve(Buffer.concat(chunks)));
  };
  const onClose = () =>
    done(() => reject(stream.errored ?? new Error(`closed after ${received} of ${bytes.length} bytes`)));
  const done = (settle: () => void) => {
    stream.off('data', onData);
    stream.off('close', onClose);
    settle();
  };
  stream.on('data', onData);
  stream.on('close', onClose);
  stream.write(bytes);
  return promise;
}

/**
 * Sends a pattern through something that echoes while reading it back, both as fast as they go, on one connection.
 *
 * @throws when other bytes come back, or fewer
 */
export async function echoPattern(stream: Duplex, byteCount: number, seed: number): Promise<void> {
  const digest = createHash('sha256');
  let received = 0;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  stream.on('data', (chunk: Buffer) => {
    digest.update(chunk);
    received += chunk.length;
    if (received >= byteCount) resolve();
  });
  stream.once('close', () => reject(stream.errored ?? new Error(`closed after ${received} of ${byteCount} bytes`)));
  stream.write('ECHO\n');
  for (const piece of patternPieces(seed, byteCount))
    if (!stream.write(piece)) await Promise.race([once(stream, 'drain'), promise]);
  await promise;
  if (received !== byteCount || digest.digest('hex') !== patternDigest(seed, byteCount))
    throw new Error(`of ${byteCount} echoed bytes ${received} came back, or others`);
}

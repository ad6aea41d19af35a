import type { Readable, Writable } from 'node:stream';
import type { TunnelStream } from '../domain/dialer.ts';
import { asCloudtunError, CloudtunError, systemCode } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import type { Timer } from '../runtime/clock.ts';
import type { World } from '../runtime/world.ts';

/*
 * Joins the standard streams of this process and a stream of a tunnel.
 *
 *   input ends       the stream's writable side is ended, and the answer still comes (docs/adr/0010 and 0013: as the transport allows)
 *   stream ends      the output is ended; what is still typed goes up until it stops
 *   stream closes    everything that came is written, and that is all
 *   output fails     whoever read it has gone (EPIPE): the stream is destroyed, and nobody wants to hear of it
 */

/** Of what went through; they grow while it goes. */
export interface ByteCounts {
  bytesUp: number;
  bytesDown: number;
}

/** After the far side has ended: silence of this long from our input, and nobody waits for it any more (guessed). */
const INPUT_PATIENCE: Millis = 1_000;
/** After our input has ended: silence of this long from the far side, as the client may have been killed (guessed, as in transport/splice). */
const ANSWER_PATIENCE: Millis = 60_000;

/**
 * Moves bytes both ways, each at the pace of its taker, until the stream is closed.
 *
 * @param answerPatience how long the far side may be silent after the end of the input
 * @throws CloudtunError of a stream that broke; CT_OUTPUT; the reason of `signal`, which cuts
 */
export function spliceStdio(
  world: World,
  input: Readable,
  output: Writable,
  stream: TunnelStream,
  counts: ByteCounts,
  signal: AbortSignal,
  answerPatience: Millis = ANSWER_PATIENCE,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let patience: Timer | undefined;
  let isStreamOver = false;
  const waitAtMost = (silence: Millis) => {
    patience?.cancel();
    patience = world.clock.after(silence, () => {
      isStreamOver = true;
      output.end();
      stream.destroy();
    });
  };
  const cut = (reason: unknown) => {
    reject(reason);
    stream.destroy();
  };
  const onAbort = () => cut(signal.reason);
  const onInput = (chunk: Buffer) => {
    if (stream.destroyed || stream.writableEnded) return;
    counts.bytesUp += chunk.length;
    if (isStreamOver) waitAtMost(INPUT_PATIENCE);
    if (!stream.write(chunk)) input.pause();
  };
  const onInputEnd = () => {
    if (!stream.destroyed) stream.end();
    if (!isStreamOver) waitAtMost(answerPatience);
  };
  const onOutputError = (error: Error) => {
    const code = systemCode(error);
    if (code === 'EPIPE' || code === 'EIO') {
      stream.destroy();
      resolve();
    } else cut(new CloudtunError('CT_OUTPUT', `the output cannot be written (${code})`, { cause: error }));
  };
  const onStreamData = (chunk: Buffer) => {
    counts.bytesDown += chunk.length;
    if (input.readableEnded) waitAtMost(answerPatience);
    if (output.destroyed) return;
    if (!output.write(chunk)) stream.pause();
  };
  const onOutputDrain = () => stream.resume();
  const onStreamEnd = () => {
    isStreamOver = true;
    output.end();
    if (!input.readableEnded) waitAtMost(INPUT_PATIENCE);
  };
  const onStreamClose = () => {
    if (!isStreamOver) reject(new CloudtunError('CT_SESSION_ENDED', 'the connection was broken off'));
    else if (output.writableFinished || output.destroyed) resolve();
    else output.once('finish', resolve).once('close', resolve);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  // `accepted` tells the same as `error`, to whoever asks.
  stream.accepted.catch(() => {});
  stream.on('data', onStreamData).on('end', onStreamEnd).on('close', onStreamClose);
  stream.on('error', (error) => reject(asCloudtunError(error))).on('drain', () => input.resume());
  output.on('error', onOutputError).on('drain', onOutputDrain);
  // A terminal that was closed, an input that nobody holds any more: the end like any other.
  input.on('data', onInput).on('end', onInputEnd).on('error', onInputEnd);
  if (signal.aborted) onAbort();
  else if (stream.errored) reject(asCloudtunError(stream.errored));
  return promise.finally(() => {
    patience?.cancel();
    signal.removeEventListener('abort', onAbort);
    input.off('data', onInput).off('end', onInputEnd).pause();
    output.off('drain', onOutputDrain);
  });
}

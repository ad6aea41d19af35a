import type { Readable, Writable } from 'node:stream';

/** What moves between a session's channel and ours. */
export interface Pump {
  /** Settles when everything was handed on, or the taker is gone; never rejects. */
  readonly ended: Promise<void>;
  readonly byteCount: () => number;
  stop(): void;
}

/**
 * Hands on what a channel brings, at the taker's pace: the channel is not read while the taker is full, so its window closes. The
 * taker is not ended. Not `pipeline`, which would destroy the channel with its first direction.
 *
 * @param onGone the taker can take no more: a reader that closed the pipe
 */
export function pump(from: Readable, to: Writable, onGone: (error: Error) => void): Pump {
  let byteCount = 0;
  let isOver = false;
  let settle: () => void = () => {};
  const ended = new Promise<void>((resolve) => {
    settle = resolve;
  });
  const onData = (chunk: Buffer) => {
    byteCount += chunk.length;
    if (!isOver && !to.write(chunk)) from.pause();
  };
  const onDrain = () => from.resume();
  const stop = () => {
    isOver = true;
    to.off('drain', onDrain);
    settle();
  };
  const onError = (error: Error) => {
    if (isOver) return;
    stop();
    // What still comes is swallowed, so that the far side can end.
    from.resume();
    onGone(error);
  };
  to.on('drain', onDrain);
  to.on('error', onError);
  from.on('data', onData);
  from.once('end', stop);
  from.once('close', stop);
  return {
    ended: ended.finally(() => to.off('error', onError)),
    byteCount: () => byteCount,
    stop,
  };
}

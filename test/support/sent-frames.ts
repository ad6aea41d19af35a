import type { Transmit } from '../../src/transport/ssm/core/send-window.ts';
import { OFFSET } from '../../src/transport/ssm/core/wire-format.ts';

/** A `transmit` that remembers: frames as copies, because the bytes belong to the sender again after the call. */
export class SentFrames {
  readonly frames: Buffer[] = [];
  readonly transmit: Transmit = (bytes, offset, byteCount) => {
    this.frames.push(Buffer.from(bytes.subarray(offset, offset + byteCount)));
  };

  /** Forgets and returns what was sent since the last call. */
  take(): Buffer[] {
    return this.frames.splice(0);
  }

  /** The sequence numbers of what was sent since the last call. */
  takeNumbers(): number[] {
    return this.take().map((frame) => Number(frame.readBigInt64BE(OFFSET.sequenceNumber)));
  }
}

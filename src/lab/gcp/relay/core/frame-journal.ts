import type { Millis } from '../../../../domain/millis.ts';
import { readFrame } from './relay-frame.ts';

/** A message as the relay saw it, for assertions. Never payload. */
export interface JournalFrame {
  /** Monotonic. */
  readonly at: Millis;
  /** `up` is client → service. */
  readonly way: 'up' | 'down';
  /** `CONNECT_SUCCESS_SID`, `DATA`, `ACK` … , or `tag 99`. */
  readonly frame: string;
  /** Payload bytes of DATA, the total of ACK and RECONNECT_SUCCESS_ACK, the code of a Close. */
  readonly value: number;
}

/** The last frames of one session. */
export class FrameJournal {
  #frames: JournalFrame[] = [];

  record(limit: number, frame: JournalFrame): void {
    if (limit === 0) return;
    this.#frames.push(frame);
    if (this.#frames.length > 2 * limit) this.#frames = this.#frames.slice(-limit);
  }

  list(limit: number): readonly JournalFrame[] {
    return limit === 0 ? [] : this.#frames.slice(-limit);
  }
}

/** What a message is called in the journal. */
export function describeFrame(message: Buffer): Pick<JournalFrame, 'frame' | 'value'> {
  const frame = readFrame(message);
  switch (frame.kind) {
    case 'data':
      return { frame: 'DATA', value: frame.payload.length };
    case 'ack':
      return { frame: 'ACK', value: Number(frame.total) };
    case 'reconnected':
      return { frame: 'RECONNECT_SUCCESS_ACK', value: Number(frame.total) };
    case 'sid':
      return { frame: 'CONNECT_SUCCESS_SID', value: frame.sid.length };
    case 'long-close':
      return { frame: 'LONG_CLOSE', value: frame.code };
    case 'unknown':
      return { frame: `tag ${frame.tag}`, value: message.length };
    case 'malformed':
      return { frame: 'malformed', value: message.length };
  }
}

/** When to cut a websocket: counts the messages and bytes of one direction since the start of the session. */

export interface Cuts {
  readonly messages: readonly number[];
  readonly bytes: readonly number[];
  readonly everyBytes: number;
}

/** `message`: cut instead of this message; a number: cut after so many bytes of it. */
export type CutVerdict = 'none' | 'message' | number;

export class CutSchedule {
  #messages = 0;
  #bytes = 0;

  get hasStarted(): boolean {
    return this.#messages > 0;
  }

  /** To be asked once for each message, before it is carried. */
  next(byteCount: number, cuts: Cuts): CutVerdict {
    this.#messages += 1;
    const before = this.#bytes;
    this.#bytes += byteCount;
    if (cuts.messages.includes(this.#messages)) return 'message';
    // Position n means: byte n does not arrive any more.
    const position = cuts.bytes.find((byte) => byte > before && byte <= this.#bytes);
    if (position !== undefined) return position - 1 - before;
    if (cuts.everyBytes === 0) return 'none';
    const boundary = Math.floor(this.#bytes / cuts.everyBytes) * cuts.everyBytes;
    return boundary > before ? boundary - 1 - before : 'none';
  }
}

/**
 * The agent's list of what it sent and nobody acknowledged, by number: a ring, because a map with an object for each of 100,000
 * messages a second is most of what the agent would do.
 */
import type { Millis } from '../../../domain/millis.ts';

const FIRST_CAPACITY = 1_024;

export class UnacknowledgedList {
  #frames: (Buffer | undefined)[] = new Array(FIRST_CAPACITY);
  #sentAt = new Float64Array(FIRST_CAPACITY);
  /** The oldest number that may be here. */
  #oldest = 0;
  /** One more than the newest number that was kept. */
  #end = 0;
  size = 0;

  /** @param number higher than all before it */
  add(number: number, frame: Buffer, now: Millis): void {
    if (this.size === 0) this.#oldest = number;
    while (number - this.#oldest >= this.#frames.length) this.#grow();
    const at = number & (this.#frames.length - 1);
    this.#frames[at] = frame;
    this.#sentAt[at] = now;
    this.#end = number + 1;
    this.size += 1;
  }

  get(number: number): Buffer | undefined {
    if (number < this.#oldest || number >= this.#end) return undefined;
    return this.#frames[number & (this.#frames.length - 1)];
  }

  /** Takes one off; returns when it was sent last, or undefined when it is not here. */
  remove(number: number): Millis | undefined {
    if (this.get(number) === undefined) return undefined;
    const mask = this.#frames.length - 1;
    const at = number & mask;
    this.#frames[at] = undefined;
    this.size -= 1;
    while (this.#oldest < this.#end && this.#frames[this.#oldest & mask] === undefined) this.#oldest += 1;
    return this.#sentAt[at];
  }

  /** The oldest one's number, while there is one. */
  get oldest(): number | undefined {
    return this.size === 0 ? undefined : this.#oldest;
  }

  sentAt(number: number): Millis {
    return this.#sentAt[number & (this.#frames.length - 1)]!;
  }

  /** It was sent again. */
  touch(number: number, now: Millis): void {
    this.#sentAt[number & (this.#frames.length - 1)] = now;
  }

  #grow(): void {
    const capacity = this.#frames.length * 2;
    const frames: (Buffer | undefined)[] = new Array(capacity);
    const sentAt = new Float64Array(capacity);
    for (let number = this.#oldest; number < this.#end; number++) {
      const from = number & (this.#frames.length - 1);
      frames[number & (capacity - 1)] = this.#frames[from];
      sentAt[number & (capacity - 1)] = this.#sentAt[from]!;
    }
    this.#frames = frames;
    this.#sentAt = sentAt;
  }
}

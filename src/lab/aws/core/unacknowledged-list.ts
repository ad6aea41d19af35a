/**
 * The agent's list of what it sent and nobody acknowledged, by number: a ring of places in memory. An object for each of 100,000
 * messages a second, or a view, would make the collector of garbage the busiest part of the agent.
 */
import type { Millis } from '../../../domain/millis.ts';
import type { FrameSlab } from './frame-slab.ts';

const FIRST_CAPACITY = 1_024;

export class UnacknowledgedList {
  /** Undefined: acknowledged, or never here. */
  #slab: (FrameSlab | undefined)[] = new Array(FIRST_CAPACITY);
  #offset = new Uint32Array(FIRST_CAPACITY);
  #byteCount = new Uint32Array(FIRST_CAPACITY);
  #sentAt = new Float64Array(FIRST_CAPACITY);
  /** The oldest number that may be here. */
  #oldest = 0;
  /** One more than the newest number that was kept. */
  #end = 0;
  size = 0;

  /**
   * @param number higher than all before it
   * @param slab holds the message at `offset`, and counts it as live
   */
  add(number: number, slab: FrameSlab, offset: number, byteCount: number, now: Millis): void {
    if (this.size === 0) this.#oldest = number;
    while (number - this.#oldest >= this.#slab.length) this.#grow();
    const at = number & (this.#slab.length - 1);
    this.#slab[at] = slab;
    this.#offset[at] = offset;
    this.#byteCount[at] = byteCount;
    this.#sentAt[at] = now;
    this.#end = number + 1;
    this.size += 1;
  }

  /** The message, while it is here. */
  get(number: number): Buffer | undefined {
    if (number < this.#oldest || number >= this.#end) return undefined;
    const at = number & (this.#slab.length - 1);
    const offset = this.#offset[at]!;
    return this.#slab[at]?.memory.subarray(offset, offset + this.#byteCount[at]!);
  }

  /** Takes one off; returns its slab, or undefined when it is not here. */
  remove(number: number): FrameSlab | undefined {
    if (number < this.#oldest || number >= this.#end) return undefined;
    const mask = this.#slab.length - 1;
    const slab = this.#slab[number & mask];
    if (slab === undefined) return undefined;
    this.#slab[number & mask] = undefined;
    this.size -= 1;
    while (this.#oldest < this.#end && this.#slab[this.#oldest & mask] === undefined) this.#oldest += 1;
    return slab;
  }

  /** The oldest one's number, while there is one. */
  get oldest(): number | undefined {
    return this.size === 0 ? undefined : this.#oldest;
  }

  /** When one was sent last; also right after it was removed. */
  sentAt(number: number): Millis {
    return this.#sentAt[number & (this.#slab.length - 1)]!;
  }

  /** It was sent again. */
  touch(number: number, now: Millis): void {
    this.#sentAt[number & (this.#slab.length - 1)] = now;
  }

  #grow(): void {
    const mask = this.#slab.length - 1;
    const grown = new UnacknowledgedList();
    const capacity = this.#slab.length * 2;
    grown.#slab = new Array(capacity);
    grown.#offset = new Uint32Array(capacity);
    grown.#byteCount = new Uint32Array(capacity);
    grown.#sentAt = new Float64Array(capacity);
    for (let number = this.#oldest; number < this.#end; number++) {
      const from = number & mask;
      const to = number & (capacity - 1);
      grown.#slab[to] = this.#slab[from];
      grown.#offset[to] = this.#offset[from]!;
      grown.#byteCount[to] = this.#byteCount[from]!;
      grown.#sentAt[to] = this.#sentAt[from]!;
    }
    this.#slab = grown.#slab;
    this.#offset = grown.#offset;
    this.#byteCount = grown.#byteCount;
    this.#sentAt = grown.#sentAt;
  }
}

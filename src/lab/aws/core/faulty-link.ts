/**
 * One direction of the relay with latency, loss, duplication and reordering. Time and fate only: what a message is does not matter,
 * and without faults the caller goes past it. Reordering is being late: later messages overtake. For every message the same number of
 * random fractions is drawn, so one knob does not change what another one picks.
 */
import type { Millis } from '../../../domain/millis.ts';

export interface LinkFaults {
  readonly latencyMs: Millis;
  readonly lossPercent: number;
  readonly duplicatePercent: number;
  readonly reorderPercent: number;
  readonly reorderMs: Millis;
}

export type Fate = 'carried' | 'lost' | 'duplicated' | 'reordered';

interface Travelling {
  readonly due: Millis;
  readonly order: number;
  readonly frame: Buffer;
}

/** Messages under way at most; beyond, the newest are lost. A client's own window ends far below. */
const MAX_TRAVELLING = 200_000;

export class FaultyLink {
  readonly #fraction: () => number;
  /** Sorted by due, then by order: what leaves next is at the head. */
  #travelling: Travelling[] = [];
  #head = 0;
  #order = 0;

  constructor(fraction: () => number) {
    this.#fraction = fraction;
  }

  /** True when `faults` do nothing and nothing is under way: the message may go directly. */
  isClear(faults: LinkFaults): boolean {
    return (
      this.#head === this.#travelling.length &&
      faults.latencyMs === 0 &&
      faults.lossPercent === 0 &&
      faults.duplicatePercent === 0 &&
      faults.reorderPercent === 0
    );
  }

  offer(frame: Buffer, faults: LinkFaults, now: Millis): readonly Fate[] {
    const lost = this.#fraction() * 100 < faults.lossPercent;
    const duplicated = this.#fraction() * 100 < faults.duplicatePercent;
    const reordered = this.#fraction() * 100 < faults.reorderPercent;
    const lateness = this.#fraction() * faults.reorderMs;
    if (lost || this.#travelling.length - this.#head >= MAX_TRAVELLING) return ['lost'];
    const due = now + faults.latencyMs;
    this.#insert(reordered ? due + lateness : due, frame);
    if (duplicated) this.#insert(due + lateness, frame);
    if (!reordered && !duplicated) return ['carried'];
    return [...(reordered ? (['reordered'] as const) : []), ...(duplicated ? (['duplicated'] as const) : [])];
  }

  /** What arrives by `now`, in the order of arrival. */
  arrived(now: Millis): Buffer[] {
    const frames: Buffer[] = [];
    while (this.#head < this.#travelling.length && this.#travelling[this.#head]!.due <= now) {
      frames.push(this.#travelling[this.#head]!.frame);
      this.#head += 1;
    }
    if (this.#head > 1_024 || this.#head === this.#travelling.length) {
      this.#travelling = this.#travelling.slice(this.#head);
      this.#head = 0;
    }
    return frames;
  }

  /** Messages under way. */
  get size(): number {
    return this.#travelling.length - this.#head;
  }

  get wakeAt(): Millis | undefined {
    return this.#travelling[this.#head]?.due;
  }

  /** Everything under way is lost. */
  clear(): number {
    const lost = this.#travelling.length - this.#head;
    this.#travelling = [];
    this.#head = 0;
    return lost;
  }

  #insert(due: Millis, frame: Buffer): void {
    const travelling = { due, order: this.#order++, frame };
    let at = this.#travelling.length;
    while (at > this.#head && this.#travelling[at - 1]!.due > due) at -= 1;
    if (at === this.#travelling.length) this.#travelling.push(travelling);
    else this.#travelling.splice(at, 0, travelling);
  }
}

/** One direction of a relay: directly when nothing is wrong with it, else through the core that delays, loses and reorders. */
import type { Clock, Timer } from '../../runtime/clock.ts';
import { type Fate, FaultyLink } from './core/faulty-link.ts';
import type { DirectionFaults } from './faults.ts';

export interface RelayLinkOptions {
  readonly clock: Clock;
  /** Random picks of this direction. */
  readonly fraction: () => number;
  readonly faults: () => DirectionFaults;
  readonly arrived: (frame: Buffer) => void;
  readonly fate: (fate: Fate) => void;
  /** Some of what was under way has arrived. */
  readonly moved: () => void;
}

export class RelayLink {
  readonly #options: RelayLinkOptions;
  readonly #link: FaultyLink;
  #timer: Timer | undefined;

  constructor(options: RelayLinkOptions) {
    this.#options = options;
    this.#link = new FaultyLink(options.fraction);
  }

  /** Messages under way. */
  get size(): number {
    return this.#link.size;
  }

  /** What is carried now arrives at once. */
  get isClear(): boolean {
    return this.#link.isClear(this.#options.faults());
  }

  carry(frame: Buffer): void {
    const { clock, faults, fate, arrived } = this.#options;
    const current = faults();
    if (this.#link.isClear(current)) {
      arrived(frame);
      return;
    }
    for (const each of this.#link.offer(frame, current, clock.now())) fate(each);
    this.#look();
  }

  /** Everything under way arrives now. */
  flush(): void {
    for (const frame of this.#link.arrived(Number.POSITIVE_INFINITY)) this.#options.arrived(frame);
  }

  /** Everything under way is lost; returns how much that is. */
  clear(): number {
    this.#timer?.cancel();
    this.#timer = undefined;
    return this.#link.clear();
  }

  #look(): void {
    const { clock, arrived, moved } = this.#options;
    this.#timer?.cancel();
    this.#timer = undefined;
    const now = clock.now();
    for (const frame of this.#link.arrived(now)) arrived(frame);
    // What arrived may have carried something itself, and looked.
    if (this.#timer !== undefined || this.#link.wakeAt === undefined) return;
    this.#timer = clock.after(Math.max(0, this.#link.wakeAt - now), () => {
      this.#timer = undefined;
      this.#look();
      moved();
    });
  }
}

import type { Timer } from '../runtime/clock.ts';
import type { World } from '../runtime/world.ts';
import { type Instant, LifeLimits, type LimitStep } from './core/limits.ts';
import type { ForwardLimits } from './forward-types.ts';

/** Calls `onStep` when a limit of a forward comes near or is reached; an end is the last call. */
export class LimitWatch {
  readonly #world: World;
  readonly #limits: LifeLimits;
  readonly #onStep: (step: LimitStep) => void;
  #timer: Timer | undefined;
  #isOver = false;

  /** The limits count from now. */
  constructor(world: World, limits: ForwardLimits, onStep: (step: LimitStep) => void) {
    this.#world = world;
    this.#onStep = onStep;
    this.#limits = new LifeLimits(limits, this.#instant());
    this.#look();
  }

  /** Streams are open, or none is any more. */
  busy(isBusy: boolean): void {
    this.#limits.busy(isBusy, this.#instant());
    this.#look();
  }

  stop(): void {
    this.#isOver = true;
    this.#timer?.cancel();
  }

  #look(): void {
    this.#timer?.cancel();
    for (;;) {
      if (this.#isOver) return;
      const step = this.#limits.next(this.#instant());
      if (!step) break;
      if (step.do === 'end') this.stop();
      this.#onStep(step);
    }
    const wait = this.#limits.wait(this.#instant());
    if (wait !== undefined) this.#timer = this.#world.clock.after(wait, () => this.#look());
  }

  #instant(): Instant {
    const { clock } = this.#world;
    return { now: clock.now(), wall: clock.wall() };
  }
}

/** One direction of a websocket with latency: what is carried happens later, in the same order. Without latency it happens at once. */
import type { Millis } from '../../../domain/millis.ts';
import type { Clock, Timer } from '../../../runtime/clock.ts';

interface Travelling {
  readonly due: Millis;
  readonly happen: () => void;
}

export class DelayLine {
  readonly #clock: Clock;
  readonly #latency: () => Millis;
  #travelling: Travelling[] = [];
  #timer: Timer | undefined;

  constructor(clock: Clock, latency: () => Millis) {
    this.#clock = clock;
    this.#latency = latency;
  }

  /** Nothing is under way, and nothing would wait. */
  get isClear(): boolean {
    return this.#travelling.length === 0 && this.#latency() === 0;
  }

  carry(happen: () => void): void {
    if (this.isClear) {
      happen();
      return;
    }
    this.#travelling.push({ due: this.#clock.now() + this.#latency(), happen });
    this.#arm();
  }

  /** What is under way never arrives. */
  clear(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#travelling = [];
  }

  #arm(): void {
    const [first] = this.#travelling;
    if (first === undefined || this.#timer !== undefined) return;
    this.#timer = this.#clock.after(Math.max(0, first.due - this.#clock.now()), () => this.#arrive());
  }

  #arrive(): void {
    this.#timer = undefined;
    const now = this.#clock.now();
    const later = this.#travelling.findIndex(({ due }) => due > now);
    const arrived = this.#travelling.splice(0, later === -1 ? this.#travelling.length : later);
    for (const { happen } of arrived) happen();
    this.#arm();
  }
}

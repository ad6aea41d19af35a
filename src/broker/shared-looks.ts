import type { Millis } from '../domain/millis.ts';
import type { Clock } from '../runtime/clock.ts';
import { withDeadline } from '../runtime/deadline.ts';

/** Longer than any answer of a cloud that is there. */
const LOOK_LIMIT: Millis = 20_000;
/** Things that are looked at, not tunnels; the oldest answers are forgotten. */
const ANSWER_LIMIT = 1_024;

interface Answer {
  readonly at: Millis;
  readonly value: Promise<unknown>;
}

/**
 * One look for all who want to know the same thing at about the same time: two hundred tunnels through one bastion are no reason to ask
 * two hundred times whether it is there. One for all tunnels of a process, so a look is not called off with the tunnel that began it.
 */
export class SharedLooks {
  readonly #clock: Clock;
  readonly #answers = new Map<string, Answer>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * @param key names what is looked at, and where
   * @param notBefore monotonic; an answer that was asked for since then still does
   * @throws what the look throws, to everybody who shares it
   */
  ask<Value>(key: string, notBefore: Millis, look: (signal: AbortSignal) => Promise<Value>): Promise<Value> {
    const now = this.#clock.now();
    const known = this.#answers.get(key);
    if (known !== undefined && known.at >= notBefore) return known.value as Promise<Value>;
    const value = withDeadline(this.#clock, LOOK_LIMIT, look);
    // Who waits for it hears of its failure; that nobody waits any more is no defect.
    value.catch(() => {});
    this.#answers.delete(key);
    this.#answers.set(key, { at: now, value });
    const [oldest] = this.#answers.keys();
    if (this.#answers.size > ANSWER_LIMIT && oldest !== undefined) this.#answers.delete(oldest);
    return value;
  }
}

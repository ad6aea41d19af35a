import type { Millis } from '../../domain/millis.ts';

export interface LateSettings {
  /** How long after it happened an event can be looked up. */
  readonly delayMs: Millis;
  /** Every so many events one is there twice, under the same id; 0: none. */
  readonly duplicateEvery: number;
}

/** Events that are kept; the oldest are forgotten. */
const MAX_EVENTS = 10_000;

/** A cloud's record of calls: it comes late, and some of it twice. */
export class LateEvents<Event> {
  #events: { readonly at: Millis; readonly event: Event }[] = [];
  #count = 0;
  #settings: LateSettings = { delayMs: 0, duplicateEvery: 0 };

  /** What is not given stays as it is. */
  set(settings: Partial<LateSettings>): void {
    this.#settings = { ...this.#settings, ...settings };
  }

  add(at: Millis, event: Event): void {
    this.#count += 1;
    const { duplicateEvery } = this.#settings;
    const times = duplicateEvery > 0 && this.#count % duplicateEvery === 0 ? 2 : 1;
    for (let index = 0; index < times; index += 1) this.#events.push({ at, event });
    if (this.#events.length > 2 * MAX_EVENTS) this.#events = this.#events.slice(-MAX_EVENTS);
  }

  /** What can be looked up now, newest first. */
  visible(now: Millis): readonly { readonly at: Millis; readonly event: Event }[] {
    return this.#events.filter(({ at }) => at + this.#settings.delayMs <= now).reverse();
  }
}

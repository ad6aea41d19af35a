import type { Log } from '../runtime/log.ts';

/** How many are remembered. */
const LIMIT = 256;

/** The last warnings of a log, so that who closes a tunnel hears what came of it. */
export class RecentWarnings {
  readonly #messages: string[] = [];
  #count = 0;

  /** How many there were. */
  get count(): number {
    return this.#count;
  }

  /** Those after the first `count`, as far as they are remembered. */
  since(count: number): readonly string[] {
    const missed = this.#count - count;
    return missed <= 0 ? [] : this.#messages.slice(-missed);
  }

  /** A log whose warnings are remembered here too. */
  of(log: Log): Log {
    return {
      level: log.level,
      info: (message) => log.info(message),
      debug: (message) => log.debug(message),
      warn: (message) => {
        log.warn(message);
        this.#count += 1;
        this.#messages.push(message);
        if (this.#messages.length > LIMIT) this.#messages.shift();
      },
    };
  }
}

/*
 * How much may go through (spec section 5.4), both directions together, without I/O: when to tell that little is left, when it is used
 * up, and when what is still being finished has gone too far. Several services that share a limit share one budget.
 */

export type BudgetStep =
  | { readonly do: 'tell'; readonly leftBytes: number }
  /** Used up: drain. */
  | { readonly do: 'end' }
  /** What drains took more than is granted beyond the limit. */
  | { readonly do: 'cut' };

/** Parts of the limit at which it is told. */
const WARNINGS = [0.8, 0.95] as const;
/** A drain lets open connections finish, and a limit must not be one that a fast connection passes by gigabytes meanwhile (guessed). */
const OVERRUN = 1.1;

export class ByteBudget {
  readonly limit: number;
  #used = 0;
  /** How many steps were given: the warnings, the end, the cut. */
  #given = 0;

  /** @param limit in bytes, above 0 */
  constructor(limit: number) {
    this.limit = limit;
  }

  /** Counts bytes that moved; the step that is due by them. After a leap over several only the last one: it says it all. */
  add(byteCount: number): BudgetStep | undefined {
    this.#used += byteCount;
    const part = this.#used / this.limit;
    // Almost always: a chunk of a stream far from the limit.
    if (part < WARNINGS[0]) return undefined;
    const due = [...WARNINGS, 1, OVERRUN].filter((mark) => part >= mark).length;
    if (due <= this.#given) return undefined;
    const hadEnded = this.#given > WARNINGS.length;
    this.#given = due;
    if (due <= WARNINGS.length) return { do: 'tell', leftBytes: this.limit - this.#used };
    // A leap to beyond everything is an end first; what drains is cut by its next byte.
    if (!hadEnded) this.#given = WARNINGS.length + 1;
    return { do: hadEnded ? 'cut' : 'end' };
  }
}

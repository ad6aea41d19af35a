/** An entry that somebody wrote to Cloud Logging. */
export interface WrittenEntry {
  /** `projects/P/logs/NAME` */
  readonly log: string;
  readonly insertId: string;
  readonly timestamp: string;
  readonly payload: unknown;
}

/** What was written to Cloud Logging: entries of one log with the same insert id and time are one. */
export class WrittenLog {
  readonly #entries = new Map<string, WrittenEntry>();
  /** Entries that came, those that came twice included. */
  arrivals = 0;

  add(entry: WrittenEntry): void {
    this.arrivals += 1;
    const { log, insertId, timestamp } = entry;
    this.#entries.set(JSON.stringify([log, insertId || this.arrivals, timestamp]), entry);
  }

  of(log: string): readonly WrittenEntry[] {
    return [...this.#entries.values()].filter((entry) => entry.log === log);
  }
}

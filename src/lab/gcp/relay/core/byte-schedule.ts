/** What the plan has in store for a session once so much payload has passed, both directions together. */

export interface ByteRules {
  readonly closes: readonly { readonly afterBytes: number; readonly code: number; readonly reason: string }[];
  readonly reauthenticateEveryBytes: number;
  readonly freezeAfterBytes: number;
}

export type ByteEvent =
  | { readonly do: 'freeze' }
  | { readonly do: 'close'; readonly code: number; readonly reason: string };

const REAUTHENTICATE: ByteEvent = { do: 'close', code: 4004, reason: 'reauthentication required' };

export class ByteSchedule {
  #closesDone = 0;
  #reauthentications = 0;

  /** What is due when `total` bytes have passed, in order; each Close once. */
  due(total: number, rules: ByteRules): readonly ByteEvent[] {
    const { closes, reauthenticateEveryBytes, freezeAfterBytes } = rules;
    const events: ByteEvent[] = [];
    if (freezeAfterBytes > 0 && total >= freezeAfterBytes) events.push({ do: 'freeze' });
    const next = closes[this.#closesDone];
    if (next !== undefined && total >= next.afterBytes) {
      this.#closesDone += 1;
      events.push({ do: 'close', code: next.code, reason: next.reason });
      return events;
    }
    if (reauthenticateEveryBytes === 0) return events;
    const passed = Math.floor(total / reauthenticateEveryBytes);
    if (passed > this.#reauthentications) {
      this.#reauthentications = passed;
      events.push(REAUTHENTICATE);
    }
    return events;
  }
}

/**
 * When the service acknowledges what the client sent. Its exact rule is not known; it is prompt (docs/protocol/iap.md, "What the service
 * does"), so here each DATA frame is acknowledged when the backend's socket has taken it, unless the plan says otherwise.
 */
import type { Millis } from '../../../../domain/millis.ts';
import type { ServiceSession } from './service-session.ts';

export interface AckRules {
  readonly ackEveryBytes: number;
  readonly ackDelayMs: Millis;
  readonly withholdAcks: boolean;
  readonly ackShortOfBytes: number;
}

export interface AckDue {
  /** What an ACK now says. */
  readonly total?: number;
  /** Ask again after so long, with `isQuiet`. */
  readonly wait?: Millis;
}

/** With this much quiet what is owed is acknowledged, however little. */
const QUIET: Millis = 200;

export class AckPolicy {
  readonly #session: ServiceSession;

  constructor(session: ServiceSession) {
    this.#session = session;
  }

  /** @param isQuiet the wait that was asked for is over */
  next(rules: AckRules, isQuiet: boolean): AckDue {
    const { taken, acked } = this.#session;
    const owed = taken - acked;
    // A reconnect told the client of bytes that the backend has not taken yet.
    if (rules.withholdAcks || owed <= 0) return {};
    if (isQuiet) return { total: this.#session.acknowledge() };
    if (rules.ackDelayMs > 0) return { wait: rules.ackDelayMs };
    const total = taken - rules.ackShortOfBytes;
    if (owed < rules.ackEveryBytes || total <= acked) return { wait: QUIET };
    this.#session.acknowledge(total);
    return rules.ackShortOfBytes === 0 ? { total } : { total, wait: QUIET };
  }
}

import type { Millis } from '../domain/millis.ts';
import type { TunnelEvent } from '../domain/tunnel-event.ts';
import type { ServiceStatus } from './forward-types.ts';

/** What a status tells of the sessions behind a service: made of the events of its tunnel. */
export class TroubleLog {
  #isReconnecting = false;
  #renewals = 0;
  #lastRenewal: ServiceStatus['lastRenewal'];
  #lastTrouble: ServiceStatus['lastTrouble'];
  #lastEnding: ServiceStatus['lastEnding'];

  /** A session is lost and not back yet. */
  get isReconnecting(): boolean {
    return this.#isReconnecting;
  }

  /** @param at wall clock */
  note(event: TunnelEvent, at: Millis): void {
    switch (event.type) {
      case 'reconnecting':
        this.#isReconnecting = true;
        this.#lastTrouble = { at, message: event.reason };
        break;
      case 'renewed':
        this.#isReconnecting = false;
        this.#renewals += 1;
        this.#lastRenewal = { at, how: event.how };
        break;
      case 'session-started':
        this.#isReconnecting = false;
        break;
      case 'session-ended':
        if (event.ending) this.#lastEnding = { at, sessionId: event.sessionId, ...event.ending };
        if (event.error) this.#lastTrouble = { at, code: event.error.code, message: event.error.message };
        break;
      case 'sign-in-needed':
        this.#isReconnecting = true;
        this.#lastTrouble = { at, code: event.error.code, message: event.error.message };
        break;
      case 'moved':
        this.#lastTrouble = { at, message: event.what };
        break;
      case 'stream-reset':
        this.#lastTrouble = { at, code: event.error.code, message: event.error.message };
        break;
      case 'warning':
        this.#lastTrouble = { at, message: event.message };
        break;
      default:
        break;
    }
  }

  facts(): Pick<ServiceStatus, 'renewals' | 'lastRenewal' | 'lastTrouble' | 'lastEnding'> {
    return {
      renewals: this.#renewals,
      lastRenewal: this.#lastRenewal,
      lastTrouble: this.#lastTrouble,
      lastEnding: this.#lastEnding,
    };
  }
}

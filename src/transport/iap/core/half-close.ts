/**
 * After the local client has sent its last byte (docs/protocol/iap.md, "End of a session"; docs/adr/0013-iap-half-close.md). The relay has
 * no half close: its Close ends both directions. So the end of the upload is held back while an answer may still come.
 *
 *     open ── ended ──> confirming ── all confirmed, or 10 s ──> listening ── silence for the grace time ──> over
 *
 * Time counts while the websocket is open only: an interruption of minutes must not cut an answer off.
 */
import type { Millis } from '../../../domain/millis.ts';

/** As long as the official client waits for its own queue. */
export const CONFIRM_LIMIT_MS = 10_000;
/** Why it is this long: docs/adr/0013-iap-half-close.md. */
export const GRACE_MS = 30_000;

export class HalfClose {
  readonly #grace: Millis;
  #state: 'open' | 'confirming' | 'listening' | 'over' = 'open';
  /** When the present wait began. */
  #since: Millis = 0;

  /** @param grace silence after which nobody answers any more */
  constructor(grace: Millis = GRACE_MS) {
    this.#grace = grace;
  }

  /** Whether the whole upload is confirmed, or given up. */
  get isUploadOver(): boolean {
    return this.#state === 'listening' || this.#state === 'over';
  }

  /** The session is to be closed. */
  get isOver(): boolean {
    return this.#state === 'over';
  }

  /** When `tick` should be called, while the websocket is open. */
  get wakeAt(): Millis | undefined {
    if (this.#state === 'confirming') return this.#since + CONFIRM_LIMIT_MS;
    return this.#state === 'listening' ? this.#since + this.#grace : undefined;
  }

  /** The client has sent its last byte. */
  ended(now: Millis): void {
    if (this.#state !== 'open') return;
    this.#state = 'confirming';
    this.#since = now;
  }

  /** Something came from the far side, or the websocket is back: silence begins anew. */
  heard(now: Millis): void {
    this.#since = now;
  }

  /** @param unconfirmed bytes on their way up @param isHeldUp what came waits for the client: silence is our own doing */
  tick(now: Millis, unconfirmed: number, isHeldUp: boolean): void {
    if (this.#state === 'confirming' && (unconfirmed === 0 || now >= this.#since + CONFIRM_LIMIT_MS)) {
      this.#state = 'listening';
      this.#since = now;
    }
    if (this.#state !== 'listening') return;
    if (isHeldUp) this.#since = now;
    else if (now >= this.#since + this.#grace) this.#state = 'over';
  }
}

/**
 * Messages that came before their turn. Bounded twice; what does not fit is not acknowledged, so the agent keeps it and sends it
 * again (docs/protocol/ssm.md, "Receiving").
 */

/** Bounds of the reorder buffer, per session: the agent sends about 1,000 messages a second of at most 1,024 bytes. */
export const MAX_REORDERED_MESSAGES = 4_096;
export const MAX_REORDERED_BYTES = 8 * 1024 * 1024;

export interface HeldMessage {
  readonly payloadType: number;
  readonly payload: Buffer;
}

export class ReorderBuffer {
  readonly #held = new Map<number, HeldMessage>();
  #byteCount = 0;

  get size(): number {
    return this.#held.size;
  }

  get byteCount(): number {
    return this.#byteCount;
  }

  /** Keeps a copy: the payload is a view into a far larger receive buffer. False when it does not fit; true also for a repeated one. */
  hold(number: number, payloadType: number, payload: Buffer): boolean {
    if (this.#held.has(number)) return true;
    if (this.#held.size >= MAX_REORDERED_MESSAGES || this.#byteCount + payload.length > MAX_REORDERED_BYTES)
      return false;
    this.#held.set(number, { payloadType, payload: Buffer.from(payload) });
    this.#byteCount += payload.length;
    return true;
  }

  peek(number: number): HeldMessage | undefined {
    return this.#held.size === 0 ? undefined : this.#held.get(number);
  }

  drop(number: number): void {
    const held = this.#held.get(number);
    if (held === undefined) return;
    this.#held.delete(number);
    this.#byteCount -= held.payload.length;
  }
}

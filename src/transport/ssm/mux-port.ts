/** A Port session in multiplexed mode: smux over the data channel, and what a session does while a local reader does not read. */
import type { TunnelStream } from '../../domain/dialer.ts';
import type { CloudtunError } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import type { Timer } from '../../runtime/clock.ts';
import type { World } from '../../runtime/world.ts';
import { Mux } from '../smux/mux.ts';
import type { PortCarrier } from './port-session.ts';

/** A stalled stream is reset when it held up a sibling for longer than this (spec section 5.5). */
export const MAX_SIBLING_STALL_MS = 60_000;
/**
 * While stalled, one small read in this interval, so that control frames are seen and answered; what it brings is held. Messages must
 * not be refused instead: the agent repairs one message per time-out, and thousands of them would take it minutes.
 */
const SIP_INTERVAL_MS = 20_000;
/** No more reads when this much is held by a session, whatever happens to its websocket: it can be resumed. */
const MAX_HELD_WITH_SIPS = 24 * 1024 * 1024;

/** With `--keep-active`: below the shortest idle limit that an account can set, one minute (docs/protocol/ssm.md, "Limits and pitfalls"). */
export const ACTIVITY_INTERVAL_MS = 45_000;

export interface MuxPortOwner {
  outputWaiting(): void;
  pause(): void;
  resume(): void;
  stalled(heldByteCount: number): void;
  streamReset(error: CloudtunError): void;
  /** Where the streams lead, for errors: `host:port`. */
  readonly destination: string;
  /** Something is sent when nothing is, so that the service does not end the session for being idle. */
  readonly keepActive?: boolean;
  /** The number of the next data message. */
  nextNumber(): number;
}

export class MuxPort implements PortCarrier {
  readonly #world: World;
  readonly #owner: MuxPortOwner;
  readonly #mux: Mux;
  #stalledSince: Millis = 0;
  #stallTimer: Timer | undefined;
  #activityTimer: Timer | undefined;
  /** Reading until the next batch is here. */
  #isSipping = false;

  constructor(world: World, owner: MuxPortOwner) {
    this.#world = world;
    this.#owner = owner;
    this.#mux = new Mux({
      destination: owner.destination,
      soon: (call) => void world.clock.soon(call),
      outputWaiting: () => owner.outputWaiting(),
      stalled: (isStalled) => this.#onStall(isStalled),
    });
    if (owner.keepActive) this.#stayActive(0);
  }

  get canOpen(): boolean {
    return this.#mux.canOpen;
  }

  get isStalled(): boolean {
    return this.#mux.isStalled;
  }

  get openCount(): number {
    return this.#mux.openCount;
  }

  get bytesUp(): number {
    return this.#mux.bytesUp;
  }

  get bytesDown(): number {
    return this.#mux.bytesDown;
  }

  open(): TunnelStream {
    return this.#mux.open();
  }

  pull(target: Buffer, offset: number, maxBytes: number): number {
    return this.#mux.pull(target, offset, maxBytes, this.#owner.nextNumber());
  }

  deliver(payload: Buffer): boolean {
    this.#mux.receive(payload);
    return true;
  }

  connectFailed(): void {
    this.#mux.connectFailed();
  }

  batchEnd(acknowledgedBelow: number): void {
    this.#mux.endBatch();
    this.#mux.acknowledgedBelow(acknowledgedBelow);
    if (!this.#isSipping) return;
    this.#isSipping = false;
    if (this.#mux.isStalled) this.#owner.pause();
  }

  abort(error: Error | undefined): void {
    this.#stallTimer?.cancel();
    this.#activityTimer?.cancel();
    this.#mux.abort(error);
  }

  /** @param bytesUp what had been sent when it was looked at last */
  #stayActive(bytesUp: number): void {
    const look = () => {
      if (this.#mux.bytesUp === bytesUp) this.#mux.nop();
      this.#stayActive(this.#mux.bytesUp);
    };
    this.#activityTimer = this.#world.clock.after(ACTIVITY_INTERVAL_MS, look, { background: true });
  }

  #onStall(isStalled: boolean): void {
    this.#stallTimer?.cancel();
    if (!isStalled) return this.#owner.resume();
    this.#stalledSince = this.#world.clock.now();
    this.#owner.stalled(this.#mux.heldBytes);
    this.#owner.pause();
    this.#watchStall();
  }

  #watchStall(): void {
    this.#stallTimer = this.#world.clock.after(SIP_INTERVAL_MS, () => {
      const stalledFor = this.#world.clock.now() - this.#stalledSince;
      // Armed before anything is reset: the end of the stall cancels it, and a stall that goes on is watched further.
      this.#watchStall();
      if (this.#mux.openCount > 1 && stalledFor >= MAX_SIBLING_STALL_MS) {
        const error = this.#mux.resetGreediest();
        if (error) this.#owner.streamReset(error);
      }
      if (!this.#mux.isStalled || this.#mux.heldBytes >= MAX_HELD_WITH_SIPS) return;
      this.#owner.resume();
      // Only now: resuming ends a batch of its own, which must not end the sip before anything was read.
      this.#isSipping = true;
    });
  }
}

/**
 * The agent's way from its port to the data channel: at most so many bytes, one message, then a pause of a millisecond
 * (docs/protocol/ssm.md, "Pace"), which makes 0.7 MB/s of it. Without pacing: as fast as the websocket takes it.
 *
 * Unpaced is for benches and fast tests, so it is not faithful in one more thing: it waits while nobody is connected and while the
 * agent's list of 100,000 messages is full, which a paced agent never fills in time.
 */
import type { Clock, Timer } from '../../runtime/clock.ts';
import type { ByteQueue } from '../core/byte-queue.ts';
import type { FaultPlan } from './faults.ts';

/** Unpaced messages per turn: between two turns acknowledges are read. */
const BURST = 256;

export interface PumpOptions {
  readonly clock: Clock;
  readonly plan: () => FaultPlan;
  readonly source: ByteQueue;
  /** One message with the next bytes of the source. */
  readonly send: (byteCount: number) => void;
  /** The websocket's buffer is full: whoever empties it calls `kick`. */
  readonly isWireFull: () => boolean;
  /** Unpaced only: there is somebody to send to, and a list to keep it on. */
  readonly isSendingUseful: () => boolean;
  /** The source has less in it now. */
  readonly drained: () => void;
}

export class OutputPump {
  readonly #options: PumpOptions;
  #timer: Timer | undefined;
  #isStopped = false;
  /** `drained` may find more and kick from inside a burst. */
  #isBursting = false;

  constructor(options: PumpOptions) {
    this.#options = options;
  }

  /** There may be something to do. */
  kick(): void {
    if (this.#timer !== undefined || this.#isStopped) return;
    if (this.#options.plan().pacing) this.#pumpOne();
    else this.#pumpBurst();
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #pumpOne(): void {
    const { clock, plan, source, send, isWireFull, drained } = this.#options;
    if (source.byteCount === 0 || isWireFull()) return;
    send(Math.min(source.byteCount, plan().messagePayload));
    this.#timer = clock.after(plan().paceMs, () => this.#next());
    drained();
  }

  #pumpBurst(): void {
    if (this.#isBursting) return;
    this.#isBursting = true;
    const { clock, plan, source, send, isWireFull, isSendingUseful, drained } = this.#options;
    const { messagePayload } = plan();
    let count = 0;
    while (count < BURST) {
      if (source.byteCount < messagePayload) drained();
      if (source.byteCount === 0 || isWireFull() || !isSendingUseful()) break;
      send(Math.min(source.byteCount, messagePayload));
      count += 1;
    }
    this.#isBursting = false;
    if (count === BURST && !this.#isStopped) this.#timer = clock.soon(() => this.#next());
  }

  #next(): void {
    this.#timer = undefined;
    this.kick();
  }
}

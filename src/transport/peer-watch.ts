import type { Millis } from '../domain/millis.ts';
import type { Timer } from '../runtime/clock.ts';
import { type PeerState, type ReadPeerStates, readPeerStates, type SocketEnds } from '../runtime/peer-socket.ts';
import type { World } from '../runtime/world.ts';

/** First look, after which most clients that closed are found; then each wait is twice the last one. */
const FIRST_DELAY: Millis = 20;
const LONGEST_DELAY: Millis = 2_000;
/** The kernel's list may miss a row, so a socket that is absent counts as gone when it is absent twice in a row. */
const ABSENCES = 2;
/** Reading a list of thousands of sockets takes a tenth of a second: at most a tenth of the time goes into it. */
const REST_FACTOR = 9;
/** A read seems to take long when the event loop is busy or the machine slept; that must not stop the watch. */
const LONGEST_REST: Millis = 1_000;

export interface PeerWatchCalls {
  /** Nobody owns the other end any more. Called once, then the watch is over. */
  readonly released: () => void;
  /** The system does not tell. Called once, then the watch is over. */
  readonly untold?: () => void;
}

interface Watched {
  readonly ends: SocketEnds;
  readonly calls: PeerWatchCalls;
  due: Millis;
  delay: Millis;
  absences: number;
}

/**
 * Watches the local clients of connections on loopback for being gone altogether, which a FIN does not tell (runtime/peer-socket.ts).
 * One for all connections of a process: one timer, and one read of the kernel's list for everything that is watched.
 */
export class PeerWatch {
  readonly #world: World;
  readonly #read: ReadPeerStates;
  readonly #watched = new Set<Watched>();
  #timer: Timer | undefined;
  #timerDue: Millis = Number.POSITIVE_INFINITY;
  #reading = false;
  #restUntil: Millis = 0;

  constructor(world: World, read: ReadPeerStates = readPeerStates) {
    this.#world = world;
    this.#read = read;
  }

  watch(ends: SocketEnds, calls: PeerWatchCalls): { cancel(): void } {
    const due = this.#world.clock.now() + FIRST_DELAY;
    const watched: Watched = { ends, calls, due, delay: FIRST_DELAY, absences: 0 };
    this.#watched.add(watched);
    this.#arm();
    return {
      cancel: () => {
        this.#watched.delete(watched);
        if (this.#watched.size === 0) this.#disarm();
      },
    };
  }

  #arm(): void {
    if (this.#reading || this.#watched.size === 0) return;
    let due = Number.POSITIVE_INFINITY;
    for (const watched of this.#watched) due = Math.min(due, watched.due);
    due = Math.max(due, this.#restUntil);
    if (this.#timer && this.#timerDue <= due) return;
    this.#disarm();
    this.#timerDue = due;
    this.#timer = this.#world.clock.after(due - this.#world.clock.now(), () => void this.#look(), { background: true });
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerDue = Number.POSITIVE_INFINITY;
  }

  async #look(): Promise<void> {
    this.#disarm();
    this.#reading = true;
    const start = this.#world.clock.now();
    const asked = [...this.#watched];
    const states = await this.#read(asked.map((watched) => watched.ends)).catch(() => undefined);
    const end = this.#world.clock.now();
    this.#reading = false;
    this.#restUntil = end + Math.min((end - start) * REST_FACTOR, LONGEST_REST);
    for (const [index, watched] of asked.entries()) {
      if (this.#watched.has(watched)) this.#answer(watched, states?.[index] ?? 'unknown', end);
    }
    this.#arm();
  }

  #answer(watched: Watched, state: PeerState, now: Millis): void {
    watched.absences = state === 'absent' ? watched.absences + 1 : 0;
    if (state === 'unknown' || state === 'released' || watched.absences >= ABSENCES) {
      this.#watched.delete(watched);
      if (state === 'unknown') watched.calls.untold?.();
      else watched.calls.released();
      return;
    }
    if (watched.absences > 0) watched.delay = FIRST_DELAY;
    watched.due = now + watched.delay;
    watched.delay = Math.min(watched.delay * 2, LONGEST_DELAY);
  }
}

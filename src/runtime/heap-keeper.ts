import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Millis } from '../domain/millis.ts';
import type { Clock } from './clock.ts';

/** Every byte that moves is garbage soon after, in blocks outside of V8's heap. After so many of them the young ones are collected. */
const YOUNG_BYTES = 8_000_000;
/**
 * Garbage of all kinds beyond this is worth a whole collection, if that many connections began since the last one, or that much time
 * went by: what lives as long as a connection is old when it dies, and no other collection frees it. A bulk transfer makes as much, nearly
 * all of it young, and must not pay for a collection of everything every time; the figures do not tell one from the other (measured;
 * see docs/adr/0015-memory-of-busy-tunnels.md).
 */
const OLD_GARBAGE_BYTES = 10_000_000;
const OLD_CONNECTIONS = 50;
const MAJOR_INTERVAL: Millis = 1_500;
/** How often it is looked for, while bytes move. */
const LOOK_INTERVAL: Millis = 50;

/** What of V8 is needed; a test has its own. */
export interface Heap {
  /** Bytes in use, inside of the heap and outside, garbage included. */
  usedBytes(): number;
  /** `minor`: of what was made lately, which takes a millisecond; `major`: of everything, which takes twenty. */
  collect(type: 'minor' | 'major'): void;
}

/**
 * Collects garbage while a tunnel is busy. V8 lets memory outside of its heap grow by 64 MB before it looks for what nobody uses, and
 * lets its heap double: bulk transfers make much of the one, many connections of short life enough of both to cost a hundred megabytes.
 */
export class HeapKeeper {
  readonly #clock: Clock;
  readonly #heap: Heap;
  #youngBytes = 0;
  #connections = 0;
  #majorAt: Millis = Number.NEGATIVE_INFINITY;
  #leastBytes = Number.POSITIVE_INFINITY;
  #isWatching = false;
  #wasBusy = false;

  constructor(clock: Clock, heap: Heap = v8Heap()) {
    this.#clock = clock;
    this.#heap = heap;
  }

  /** So many bytes move. To be called for each piece; mostly costs nothing to speak of. */
  busy(byteCount: number): void {
    this.#wasBusy = true;
    if (!this.#isWatching) this.#watch();
    this.#youngBytes += byteCount;
    if (this.#youngBytes < YOUNG_BYTES) return;
    this.#youngBytes = 0;
    this.#heap.collect('minor');
  }

  /** A connection begins. */
  connected(): void {
    this.#connections += 1;
  }

  #watch(): void {
    this.#isWatching = true;
    this.#wasBusy = false;
    this.#clock.after(LOOK_INTERVAL, () => this.#look(), { background: true });
  }

  #look(): void {
    const used = this.#heap.usedBytes();
    this.#leastBytes = Math.min(this.#leastBytes, used);
    const now = this.#clock.now();
    const isTime = this.#connections >= OLD_CONNECTIONS || now - this.#majorAt >= MAJOR_INTERVAL;
    if (isTime && used > this.#leastBytes + OLD_GARBAGE_BYTES) {
      this.#connections = 0;
      this.#majorAt = now;
      this.#heap.collect('major');
      this.#leastBytes = this.#heap.usedBytes();
    }
    this.#isWatching = false;
    if (this.#wasBusy) this.#watch();
  }
}

/** `--expose-gc` at run time makes `gc` a global of the contexts that are made later, and of those alone. */
function v8Heap(): Heap {
  let collect: ((options: { readonly type: string }) => void) | undefined;
  return {
    usedBytes() {
      const { used_heap_size: inside, external_memory: outside } = getHeapStatistics();
      return inside + outside;
    },
    collect(type) {
      if (collect === undefined) {
        setFlagsFromString('--expose-gc');
        collect = runInNewContext('gc') as NonNullable<typeof collect>;
      }
      collect({ type });
    },
  };
}

import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Millis } from '../domain/millis.ts';
import type { Clock } from './clock.ts';

/** Garbage beyond this is worth a collection (measured: a thousand busy connections stay below 48 MB of growth with it). */
const GARBAGE_LIMIT_BYTES = 12_000_000;
/** How often it is looked, while bytes move. */
const LOOK_INTERVAL: Millis = 50;

/** What of V8 is needed; a test has its own. */
export interface Heap {
  /** Bytes in use, garbage included, outside of the heap as well. */
  usedBytes(): number;
  collect(): void;
}

/**
 * Collects garbage while a tunnel is busy. V8 lets buffers outside of its heap grow by 64 MB before it looks for those that nobody uses,
 * and lets its heap double; many busy connections of short life make enough of both to cost a hundred megabytes.
 */
export class HeapKeeper {
  readonly #clock: Clock;
  readonly #heap: Heap;
  #leastBytes = Number.POSITIVE_INFINITY;
  #isWatching = false;
  #wasBusy = false;

  constructor(clock: Clock, heap: Heap = v8Heap()) {
    this.#clock = clock;
    this.#heap = heap;
  }

  /** Bytes move. To be called for each piece; costs nothing to speak of. */
  busy(): void {
    this.#wasBusy = true;
    if (!this.#isWatching) this.#watch();
  }

  #watch(): void {
    this.#isWatching = true;
    this.#wasBusy = false;
    this.#clock.after(LOOK_INTERVAL, () => this.#look(), { background: true });
  }

  #look(): void {
    const used = this.#heap.usedBytes();
    this.#leastBytes = Math.min(this.#leastBytes, used);
    if (used > this.#leastBytes + GARBAGE_LIMIT_BYTES) {
      this.#heap.collect();
      this.#leastBytes = this.#heap.usedBytes();
    }
    this.#isWatching = false;
    if (this.#wasBusy) this.#watch();
  }
}

/** `--expose-gc` at run time makes `gc` a global of the contexts that are made later, and of those alone. */
function v8Heap(): Heap {
  let collect: (() => void) | undefined;
  return {
    usedBytes() {
      const { used_heap_size: heap, external_memory: outside } = getHeapStatistics();
      return heap + outside;
    },
    collect() {
      if (collect === undefined) {
        setFlagsFromString('--expose-gc');
        collect = runInNewContext('gc') as () => void;
      }
      collect();
    },
  };
}

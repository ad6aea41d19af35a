import type { Millis } from '../domain/millis.ts';
import type { Timer } from '../runtime/clock.ts';
import type { World } from '../runtime/world.ts';
import type { CheckpointPace } from './journal.ts';
import type { CheckpointKey } from './journal-key.ts';
import type { SegmentHead } from './segment-writer.ts';
import type { OwnHead } from './write-checkpoint.ts';

/** After the first line, so that what an earlier process left is signed too, and not on the way to a tunnel (guessed). */
const FIRST_DELAY: Millis = 5_000;
/** Lines are not unproven for longer than this while their process runs (guessed). */
const DELAY: Millis = 60_000;
/** Nor more lines than this. */
const LINE_LIMIT = 256;
/** How often the lock is asked for at the end, and the pause between. */
const END_TRIES = 20;
const END_PAUSE: Millis = 25;

/**
 * When checkpoints are made: some seconds after the first line, then every 256 lines or every minute in which something was written, and
 * at the end. A checkpoint that fails is one warning: the lines are there, and the next checkpoint covers them.
 */
export class PacedCheckpoints implements CheckpointPace {
  readonly #world: World;
  readonly #directory: string;
  readonly #key: () => CheckpointKey | Promise<CheckpointKey>;
  readonly #keep: Millis | undefined;
  /** Segments of this process that no checkpoint has as ended, oldest first. */
  readonly #own = new Map<string, SegmentHead>();
  #uncovered = 0;
  #made = 0;
  #timer: Timer | undefined;
  #running: Promise<unknown> = Promise.resolve();
  #isSoon = false;
  #hasWarned = false;

  constructor(
    world: World,
    directory: string,
    key: () => CheckpointKey | Promise<CheckpointKey>,
    keep?: Millis | undefined,
  ) {
    this.#world = world;
    this.#directory = directory;
    this.#key = key;
    this.#keep = keep;
  }

  wrote(head: SegmentHead): void {
    this.#own.set(head.segment, head);
    this.#uncovered += 1;
    if (this.#uncovered >= LINE_LIMIT && !this.#isSoon) {
      this.#isSoon = true;
      this.#timer?.cancel();
      this.#timer = this.#world.clock.soon(() => this.#start());
    }
    this.#timer ??= this.#world.clock.after(this.#made === 0 ? FIRST_DELAY : DELAY, () => this.#start(), {
      background: true,
    });
  }

  left(segment: string): void {
    this.#own.delete(segment);
  }

  async ended(): Promise<void> {
    this.#timer?.cancel();
    await this.#running;
    for (let tries = 0; tries < END_TRIES; tries += 1) {
      if ((await this.#make(true)) !== 'busy') return;
      await this.#world.clock.sleep(END_PAUSE);
    }
  }

  #start(): void {
    this.#timer = undefined;
    this.#isSoon = false;
    this.#running = this.#running.then(() => this.#make(false));
  }

  async #make(isEnd: boolean): Promise<'written' | 'nothing' | 'busy' | 'failed'> {
    this.#made += 1;
    this.#uncovered = 0;
    try {
      const { writeCheckpoint } = await import('./write-checkpoint.ts');
      const own = this.#heads(isEnd);
      const outcome = await writeCheckpoint(this.#world, this.#directory, this.#key, { own, keep: this.#keep });
      if (outcome !== 'busy') for (const { segment, hasEnded } of own) if (hasEnded) this.#own.delete(segment);
      return outcome;
    } catch (error) {
      if (!this.#hasWarned) {
        const why = error instanceof Error ? error.message : String(error);
        this.#world.log.warn(`the journal is written, but not signed, so edits of its end would not show: ${why}`);
      }
      this.#hasWarned = true;
      return 'failed';
    }
  }

  /** All but the newest are over: this process went on in another. */
  #heads(isEnd: boolean): readonly OwnHead[] {
    const heads = [...this.#own.values()];
    return heads.map((head, index) => ({ ...head, hasEnded: isEnd || index < heads.length - 1 }));
  }
}

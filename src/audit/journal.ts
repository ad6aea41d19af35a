import type { AuditEvent, AuditSink } from '../domain/audit-sink.ts';
import { CloudtunError, systemCode } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { isoTime } from '../runtime/iso-time.ts';
import type { World } from '../runtime/world.ts';
import { beginSegment } from './begin-segment.ts';
import type { LineValue } from './core/chain.ts';
import { type JournalPlace, journalPlace } from './journal-place.ts';
import type { SegmentHead, SegmentWriter } from './segment-writer.ts';
import { SharedFile } from './shared-file.ts';

/** A single value that is longer is cut: a line stays something a person can read. */
const VALUE_LIMIT = 1_024;

/** When a process that runs for long goes on in another segment (guessed: a size to mail, a day to look at). */
const SEGMENT_LIMIT = { byteCount: 16_777_216, age: 86_400_000 as Millis } as const;

/** Signs what was written, in its own time; told of each line, and of the end. */
export interface CheckpointPace {
  wrote(head: SegmentHead): void;
  /** A segment of this process stays as it is, with half a line at its end: another process will say that it is over. */
  left(segment: string): void;
  ended(): Promise<void>;
}

export interface JournalOptions {
  /** `audit.journal` of the catalogue. */
  readonly configured?: string | undefined;
  /** Whether what cannot be recorded must not be done (the default); else it is a warning. */
  readonly isRequired?: boolean;
  /** Absent: nothing is signed. */
  readonly pace?: ((place: JournalPlace) => CheckpointPace) | undefined;
  readonly limit?: { readonly byteCount: number; readonly age: Millis };
}

/**
 * The journal on this machine: chained JSON lines in a segment of this process, readable by their owner alone (docs/guides/audit.md).
 * Nothing is made before the first record, and nothing is signed while one is written.
 */
export class Journal implements AuditSink {
  readonly place: JournalPlace;
  readonly #world: World;
  readonly #options: JournalOptions;
  #segment: SegmentWriter | undefined;
  #last: SegmentHead | undefined;
  #shared: SharedFile | undefined;
  #begunAt: Millis = 0;
  #pace: CheckpointPace | undefined;
  #isClosed = false;
  #hasWarned = false;

  constructor(world: World, options: JournalOptions = {}) {
    this.#world = world;
    this.#options = options;
    this.place = journalPlace(world, options.configured);
  }

  /** A directory of segments, or one file. */
  get path(): string {
    return this.place.path;
  }

  /**
   * Appends an event with the time in front.
   *
   * @throws CT_JOURNAL when it is required and cannot be kept: no room, no permission, no such directory
   */
  record(event: AuditEvent): void {
    try {
      if (this.#isClosed) throw new Error('it is closed');
      this.#append(shortened(event));
    } catch (error) {
      const why = `the journal ${this.path} cannot be written: ${reason(error)}`;
      if (this.#options.isRequired === false) this.#warn(why);
      else {
        throw new CloudtunError('CT_JOURNAL', why, {
          hint: 'make room or mend its permissions, or name another place in CLOUDTUN_JOURNAL',
          cause: error,
        });
      }
    }
  }

  /** Ends the segment, and has it signed. Never fails: what could be kept is kept. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#shared?.close();
    const segment = this.#segment;
    if (segment === undefined) return;
    this.#end(segment);
    await this.#pace?.ended();
  }

  #append(event: AuditEvent): void {
    // After a segment was begun: its first line is the earlier one.
    const timed = (): Readonly<Record<string, LineValue>> => ({ time: isoTime(this.#world.clock.wall()), ...event });
    if (this.place.kind === 'file') {
      this.#shared ??= new SharedFile(this.path, this.#world.random.uuid());
      this.#shared.append(timed());
      return;
    }
    const segment = this.#current();
    segment.append(timed());
    this.#pace ??= this.#options.pace?.(this.place);
    this.#pace?.wrote(segment.head);
  }

  #current(): SegmentWriter {
    const current = this.#segment;
    if (current !== undefined && !this.#isOver(current)) return current;
    if (current !== undefined) this.#end(current);
    this.#segment = undefined;
    this.#segment = beginSegment(this.#world, this.path, this.#last);
    this.#begunAt = this.#world.clock.now();
    return this.#segment;
  }

  #isOver(segment: SegmentWriter): boolean {
    const { byteCount, age } = this.#options.limit ?? SEGMENT_LIMIT;
    const isOld = this.#world.clock.now() - this.#begunAt >= age;
    return segment.isBroken || segment.head.byteCount >= byteCount || isOld;
  }

  #end(segment: SegmentWriter): void {
    try {
      if (!segment.isBroken) segment.append({ time: isoTime(this.#world.clock.wall()), event: 'segment-ended' });
    } catch {
      // A full disk: the segment is one whose process ended without a word.
    }
    this.#last = segment.head;
    if (segment.isBroken) this.#pace?.left(segment.segment);
    else this.#pace?.wrote(segment.head);
    segment.close();
  }

  #warn(why: string): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.#world.log.warn(`${why}; the policy asks for no more than this warning`);
  }
}

function shortened(event: AuditEvent): AuditEvent {
  return JSON.parse(JSON.stringify(event, cut)) as AuditEvent;
}

function cut(_key: string, value: unknown): unknown {
  return typeof value === 'string' && value.length > VALUE_LIMIT ? `${value.slice(0, VALUE_LIMIT)}…` : value;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space is left',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the file system is read-only',
  EACCES: 'permission denied',
  EPERM: 'the system forbids it',
  EISDIR: 'it is a directory',
  ENOENT: 'its directory does not exist',
  ENOTDIR: 'a part of its path is not a directory',
  EEXIST: 'a file is where a directory should be',
  ENXIO: 'it is a pipe that nobody reads',
  EAGAIN: 'it is a pipe whose reader is too slow',
  EPIPE: 'it is a pipe whose reader is gone',
};

function reason(error: unknown): string {
  const code = systemCode(error);
  return (code && (REASONS[code] ?? code)) || (error instanceof Error ? error.message : String(error));
}

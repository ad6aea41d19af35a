import type { CloudLog, LogLine } from '../domain/cloud-log.ts';
import { asCloudtunError, type CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { takeLock } from '../runtime/process-lock.ts';
import type { World } from '../runtime/world.ts';
import { type JournalLine, readJournal } from './read-journal.ts';
import { readSinkState, type SinkState, sinkLock, writeSinkState } from './sink-state.ts';

/*
 * The journal on disk is the buffer of its sinks: each remembers how far it has come, and what was written meanwhile waits there, for as
 * long as the journal is kept. A line counts as there when the service has said so; a process that is killed in between leaves it to the
 * next one, which sends it again under the same id.
 */

/** After a failure nobody tries again for so long, unless told to: a command must not wait for a service that is down. */
const PAUSE_AFTER_FAILURE: Millis = 300_000;

/** Segments whose loss is told. */
const MISSED_LIMIT = 100;

/** Per line, over its text: what services count beside it. */
const LINE_OVERHEAD = 64;

export interface NamedSink {
  readonly name: string;
  /** Made when there is something to send. */
  open(): Promise<CloudLog>;
}

export type Delivery =
  | { readonly outcome: 'delivered'; readonly lines: number; readonly refused: number }
  /** Another process is at it. */
  | { readonly outcome: 'busy' }
  /** It failed lately, and is left alone for now. */
  | { readonly outcome: 'paused' }
  | { readonly outcome: 'failed'; readonly lines: number; readonly error: CloudtunError; readonly isNew: boolean };

/**
 * Sends a sink what the journal has beyond it, in order of time, at least once. One process does at a time.
 *
 * @param path of the journal
 * @param isForced also where it failed a moment ago
 */
export async function deliverJournal(
  world: World,
  path: string,
  sink: NamedSink,
  signal: AbortSignal,
  isForced = false,
): Promise<Delivery> {
  const before = readSinkState(world, sink.name);
  const { failing } = before;
  const now = world.clock.wall();
  if (!isForced && failing !== undefined && now - failing.lastAt < PAUSE_AFTER_FAILURE && now >= failing.lastAt)
    return { outcome: 'paused' };
  const lock = takeLock(sinkLock(world, sink.name));
  if (lock === undefined) return { outcome: 'busy' };
  using _lock = lock;
  // Awaited: the lock is given back when this function returns.
  return await new Run(world, path, sink).all(signal);
}

/** Lines that wait for a sink, and the time of the first of them. */
export function waitingFor(
  world: World,
  path: string,
  sink: string,
): { readonly lines: number; readonly since: Millis | undefined } {
  const lines = pending(readSinkState(world, sink), path).lines;
  return { lines: lines.length, since: lines[0]?.time };
}

function pending(state: SinkState, path: string) {
  const { lines, position } = readJournal(path, state.position);
  return { lines: lines.filter(({ segment, line }) => line > (state.beyond[segment] ?? 0)), position };
}

class Run {
  readonly #world: World;
  readonly #path: string;
  readonly #sink: NamedSink;
  #state: SinkState;
  #sent = 0;
  #refused = 0;

  constructor(world: World, path: string, sink: NamedSink) {
    this.#world = world;
    this.#path = path;
    this.#sink = sink;
    // Read again under the lock: another process may just have been done.
    this.#state = readSinkState(world, sink.name);
  }

  async all(signal: AbortSignal): Promise<Delivery> {
    const wasFailing = this.#state.failing;
    try {
      const { lines, position } = pending(this.#state, this.#path);
      this.#noteMissed(Object.keys(position));
      if (lines.length > 0) await this.#send(lines, await this.#sink.open(), signal);
      const { failing: _, ...rest } = this.#state;
      if (lines.length > 0 || wasFailing !== undefined) this.#keep({ ...rest, position, beyond: {} });
      return { outcome: 'delivered', lines: this.#sent, refused: this.#refused };
    } catch (thrown) {
      const error = asCloudtunError(thrown);
      const now = this.#world.clock.wall();
      const { code, message } = error;
      this.#keep({ ...this.#state, failing: { since: wasFailing?.since ?? now, lastAt: now, code, message } });
      return { outcome: 'failed', lines: this.#sent, error, isNew: wasFailing === undefined };
    }
  }

  async #send(lines: readonly JournalLine[], log: CloudLog, signal: AbortSignal): Promise<void> {
    for (const batch of batches(lines, log.limits)) {
      signal.throwIfAborted();
      const { refused } = await log.send(batch.map(toLogLine), signal);
      this.#sent += batch.length - refused;
      this.#refused += refused;
      const beyond = { ...this.#state.beyond };
      for (const { segment, line } of batch) beyond[segment] = Math.max(beyond[segment] ?? 0, line);
      this.#keep({
        ...this.#state,
        beyond,
        delivered: this.#state.delivered + batch.length - refused,
        refused: this.#state.refused + refused,
        deliveredAt: this.#world.clock.wall(),
      });
    }
  }

  /** A segment of which a part was sent, and that is gone with the rest. */
  #noteMissed(there: readonly string[]): void {
    const gone = Object.keys(this.#state.beyond).filter((segment) => !there.includes(segment));
    if (gone.length === 0) return;
    const beyond = Object.fromEntries(
      Object.entries(this.#state.beyond).filter(([segment]) => !gone.includes(segment)),
    );
    this.#state = { ...this.#state, beyond, missed: [...this.#state.missed, ...gone].slice(-MISSED_LIMIT) };
  }

  #keep(state: SinkState): void {
    this.#state = state;
    writeSinkState(this.#world, this.#sink.name, state);
  }
}

function toLogLine({ segment, line, time, event }: JournalLine): LogLine {
  // What is not chained has no number of its own; its place in its file is one.
  const seq = typeof event.seq === 'number' ? event.seq : `line-${line}`;
  return { id: `${segment}-${seq}`, at: time, event };
}

/** Parts that one call takes, in order. A line that is too large alone is a part by itself: the service says what becomes of it. */
function* batches(lines: readonly JournalLine[], limits: CloudLog['limits']): Generator<readonly JournalLine[]> {
  let part: JournalLine[] = [];
  let byteCount = 0;
  for (const line of lines) {
    const size = Buffer.byteLength(JSON.stringify(line.event)) + LINE_OVERHEAD + line.segment.length;
    if (part.length > 0 && (part.length >= limits.lines || byteCount + size > limits.byteCount)) {
      yield part;
      part = [];
      byteCount = 0;
    }
    part.push(line);
    byteCount += size;
  }
  if (part.length > 0) yield part;
}

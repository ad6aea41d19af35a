import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Millis } from '../domain/millis.ts';
import { writePrivateFile } from '../runtime/state-file.ts';
import type { World } from '../runtime/world.ts';
import type { JournalPosition } from './read-journal.ts';

/** How far a sink has come, and how it goes. */
export interface SinkState {
  /** Everything before it is there. */
  readonly position: JournalPosition;
  /** Beyond it: the last line of each segment that is there as well. */
  readonly beyond: Readonly<Record<string, number>>;
  /** Lines that are there, and that the service refused for good, since the sink was named. */
  readonly delivered: number;
  readonly refused: number;
  /** Segments that were removed before they were there. */
  readonly missed: readonly string[];
  readonly deliveredAt?: Millis;
  /** Since when nothing has come through, and why. */
  readonly failing?: {
    readonly since: Millis;
    readonly lastAt: Millis;
    readonly code: string;
    readonly message: string;
  };
}

const NOTHING: SinkState = { position: {}, beyond: {}, delivered: 0, refused: 0, missed: [] };

const folder = (world: World) => join(world.paths.state, 'sinks');

/** A name that any file system takes; the sink's own is in the file. */
const fileName = (sink: string) => sink.replaceAll(/[^A-Za-z0-9.-]+/g, '_').slice(0, 100);

export const sinkLock = (world: World, sink: string) => join(folder(world), `${fileName(sink)}.lock`);

/** What is not there or cannot be read is a sink that has come nowhere: lines come twice then, and are known by their ids. */
export function readSinkState(world: World, sink: string): SinkState {
  try {
    const { name, ...state } = JSON.parse(
      readFileSync(join(folder(world), `${fileName(sink)}.json`), 'utf8'),
    ) as SinkState & {
      readonly name?: string;
    };
    return name === sink ? { ...NOTHING, ...state } : NOTHING;
  } catch {
    return NOTHING;
  }
}

/** @throws what the file system throws */
export function writeSinkState(world: World, sink: string, state: SinkState): void {
  writePrivateFile(join(folder(world), `${fileName(sink)}.json`), JSON.stringify({ name: sink, ...state }));
}

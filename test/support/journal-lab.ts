import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Journal } from '../../src/audit/journal.ts';
import { ownKey } from '../../src/audit/journal-key.ts';
import { PacedCheckpoints } from '../../src/audit/paced-checkpoints.ts';
import { type VerifiedJournal, verifyJournal } from '../../src/audit/verify-journal.ts';
import type { Millis } from '../../src/domain/millis.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { type ManualWorld, manualWorld } from './manual-world.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** A journal with checkpoints on a clock by hand, and what can be done to its files. */
export interface JournalLab extends ManualWorld {
  readonly path: string;
  /** Sets the wall clock on, or back, by so much from where it would be. */
  setWall(shift: Millis): void;
  /** A writer, as a process has one. */
  writer(options?: { readonly keep?: Millis; readonly limit?: { byteCount: number; age: Millis } }): Journal;
  /** A writer that records so many lines (with those of its segment there are two more), and ends. Its file. */
  segment(lines: number, say?: Readonly<Record<string, string>>): Promise<string>;
  /** Files of segments, oldest first. */
  files(): string[];
  lines(file: string): string[];
  /** Replaces the lines of a file, each with its end. */
  edit(file: string, change: (lines: string[]) => string[]): void;
  write(file: string, text: string): void;
  verify(expected?: { checkpoint: number; hash: string }): VerifiedJournal;
  /** `changed FILE:5`, in order. */
  found(): string[];
  /** Another directory with what is in this one now. */
  snapshot(): string;
  restore(snapshot: string): void;
}

export async function journalLab(
  test: { after(call: () => Promise<void>): void },
  options: { readonly seed?: number } = {},
): Promise<JournalLab> {
  const home = await temporaryDirectory(test);
  const manual = manualWorld({ home, ...options });
  const { clock } = manual;
  let shift = 0;
  const shifted: Clock = {
    now: () => clock.now(),
    wall: () => clock.wall() + shift,
    after: (delay, call) => clock.after(delay, call),
    soon: (call) => clock.soon(call),
    sleep: (delay, signal) => clock.sleep(delay, signal),
  };
  const world = { ...manual.world, clock: shifted };
  const path = join(world.paths.state, 'journal');
  const read = (file: string) => readFileSync(join(path, file), 'utf8');
  const write = (file: string, text: string) => writeFileSync(join(path, file), text);
  const files = () =>
    readdirSync(path)
      .filter((name) => /^\d.*\.jsonl$/.test(name))
      .sort();
  const lines = (file: string) => read(file).split('\n').slice(0, -1);
  let copies = 0;
  const lab: JournalLab = {
    ...manual,
    world,
    setWall: (by) => {
      shift = by;
    },
    path,
    files,
    lines,
    write,
    writer: ({ keep, limit } = {}) =>
      new Journal(world, {
        pace: (place) => new PacedCheckpoints(world, place.path, () => ownKey(world), keep),
        ...(limit && { limit }),
      }),
    segment: async (count, say = {}) => {
      const before = new Set(files0(path));
      const journal = lab.writer();
      for (let line = 0; line < count; line += 1) {
        clock.tick(1_000);
        journal.record({ event: 'client', count: line, ...say });
      }
      await journal[Symbol.asyncDispose]();
      clock.tick(1_000);
      return files().find((name) => !before.has(name))!;
    },
    edit: (file, change) =>
      write(
        file,
        change(lines(file))
          .map((line) => `${line}\n`)
          .join(''),
      ),
    verify: (expected) => verifyJournal(world, { path, expected }),
    found: () => lab.verify().findings.map(({ kind, file, line }) => `${kind} ${file}:${line}`),
    snapshot: () => {
      copies += 1;
      const copy = join(home, `copy-${copies}`);
      cpSync(path, copy, { recursive: true });
      return copy;
    },
    restore: (snapshot) => cpSync(snapshot, path, { recursive: true }),
  };
  return lab;
}

function files0(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

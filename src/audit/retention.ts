import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Millis } from '../domain/millis.ts';
import { readChained } from './core/chain.ts';
import type { SegmentEntry } from './core/checkpoint.ts';
import { closedName, listSegments, UNCHAINED } from './journal-place.ts';
import { tailLine } from './tail-line.ts';

/** At one checkpoint; the rest is for the next one. */
const AT_ONCE = 200;

/**
 * Segments that are over and were last written before a time, as the checkpoint that is made before they are removed says it: what
 * stays of them is their name, their length and the hash of their last line, signed.
 *
 * @param before wall clock
 */
export function oldSegments(directory: string, before: Millis): readonly SegmentEntry[] {
  return listSegments(directory)
    .filter(({ isOpen, segment }) => !isOpen && segment !== UNCHAINED)
    .slice(0, AT_ONCE)
    .flatMap(({ segment, path }): SegmentEntry[] => {
      const { mtimeMs, size } = statSync(path);
      const tail = mtimeMs < before ? tailLine(path) : undefined;
      const line = tail && readChained(tail.line);
      if (line === undefined) return [];
      return [{ segment, lines: line.seq + 1, bytes: size, head: line.hash, state: 'removed' }];
    });
}

/** To be called when their removal is signed. */
export function removeSegments(directory: string, entries: readonly SegmentEntry[]): void {
  for (const { segment } of entries) rmSync(join(directory, closedName(segment)), { force: true });
}

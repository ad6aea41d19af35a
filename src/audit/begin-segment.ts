import { readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { systemCode } from '../domain/errors.ts';
import { hostUser } from '../runtime/host-user.ts';
import { isoTime } from '../runtime/iso-time.ts';
import { processIdentity } from '../runtime/process-identity.ts';
import { makeOnce, makePrivateDirectory } from '../runtime/state-file.ts';
import type { World } from '../runtime/world.ts';
import { readChained } from './core/chain.ts';
import { indexTail } from './index-tail.ts';
import { closedName, ID_FILE, newestSegments, UNCHAINED } from './journal-place.ts';
import { type SegmentHead, SegmentWriter } from './segment-writer.ts';
import { tailLine } from './tail-line.ts';

/**
 * Begins a segment of this process in a directory. Its first line says whose it is and how far the newest other segment and the
 * checkpoints had come, so that neither can be cut back later unnoticed. Reads the end of two files, whatever the journal's size.
 *
 * @param before the segment that this process wrote until now
 * @throws what the file system throws
 */
export function beginSegment(world: World, directory: string, before?: SegmentHead): SegmentWriter {
  const journal = claimDirectory(world, directory);
  const previous = before ?? newestHead(directory);
  const checkpoint = indexTail(directory);
  const { user, host } = hostUser();
  const { pid: _pid, host: _host, ...identity } = processIdentity();
  const wall = world.clock.wall();
  const writer = new SegmentWriter(directory, segmentName(world, wall, host));
  try {
    writer.append({
      time: isoTime(wall),
      event: 'segment-began',
      journal,
      host,
      hostUser: user,
      pid: world.pid,
      ...identity,
      ...(previous && { previous: previous.segment, previousLines: previous.lines, previousHash: previous.hash }),
      ...(checkpoint && { checkpoint: checkpoint.number, checkpointHash: checkpoint.hash }),
    });
  } catch (error) {
    writer.remove();
    throw error;
  }
  return writer;
}

/** Makes the directory at first use, with a name for the journal, and takes in the one file that an older cloudtun wrote. */
function claimDirectory(world: World, directory: string): string {
  const path = join(directory, ID_FILE);
  const known = readIfThere(path);
  if (known !== undefined) return known.trim();
  makePrivateDirectory(directory);
  if (directory === join(world.paths.state, 'journal')) takeIn(`${directory}.jsonl`, directory);
  return makeOnce(path, `${world.random.uuid()}\n`, String(world.pid)).trim();
}

function takeIn(old: string, directory: string): void {
  try {
    renameSync(old, join(directory, closedName(UNCHAINED)));
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
}

/** Of the newest segment that has a line: one that was begun a moment ago may have none yet. */
function newestHead(directory: string): SegmentHead | undefined {
  for (const path of newestSegments(directory, 4)) {
    const head = headOf(path);
    if (head !== undefined) return head;
  }
  return undefined;
}

function headOf(path: string): SegmentHead | undefined {
  try {
    const tail = tailLine(path);
    const line = tail && readChained(tail.line);
    return line && { segment: line.segment, lines: line.seq + 1, byteCount: 0, hash: line.hash };
  } catch {
    // Renamed, or removed for its age, in between: the next older one will do.
    return undefined;
  }
}

function segmentName(world: World, wall: number, host: string): string {
  const time = isoTime(wall).replaceAll(/[-:.]/g, '');
  const short = host.replaceAll(/[^A-Za-z0-9]/g, '-').slice(0, 24) || 'host';
  return `${time}-${short}-${world.pid}-${world.random.bytes(4).toString('hex')}`;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

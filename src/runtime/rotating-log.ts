import { appendFileSync, renameSync, statSync } from 'node:fs';
import { isoTime } from './iso-time.ts';
import { type Log, streamLog } from './log.ts';

/** Of one file; the one before it is kept beside it. */
const SIZE_LIMIT = 1_048_576;

/**
 * A log in a file, with the time in front of each line; `FILE.1` is the one before. What cannot be written (a full disk) is lost, and
 * nothing fails for it.
 *
 * @param wall milliseconds since 1970 UTC
 */
export function rotatingLog(path: string, level: number, wall: () => number): Log {
  let size = sizeOf(path);
  return streamLog((line) => {
    const text = `${isoTime(wall())} ${line}\n`;
    try {
      if (size + text.length > SIZE_LIMIT) {
        renameSync(path, `${path}.1`);
        size = 0;
      }
      appendFileSync(path, text, { mode: 0o600 });
      size += text.length;
    } catch {
      // Nobody is there to be told, and tunnels go on without a log.
    }
  }, level);
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}

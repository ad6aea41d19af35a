import { formatByteCount } from '../../domain/byte-count.ts';
import { formatDuration } from '../../domain/duration.ts';
import type { Millis } from '../../domain/millis.ts';
import { isoTime } from '../../runtime/iso-time.ts';
import type { CopiedFile, CopyReport, FileProgress } from '../../ssh/copy/copy-types.ts';
import { optionalError } from './event-json.ts';
import type { EventJson } from './event-schema.ts';
import { printable } from './printable.ts';

const BAR = 20;
const LONGEST_NAME = 32;

/** `web-1:/var/log/app.log -> ./app.log  20.0 MB in 4.0s, 5.0 MB/s` */
export function fileLine(file: CopiedFile): string {
  const names = `${printable(file.from)} -> ${printable(file.to)}`;
  if (file.outcome === 'there') return `${names}  was there, ${formatByteCount(file.byteCount)}`;
  const { byteCount, movedByteCount, duration, sha256 } = file;
  const resumed = movedByteCount < byteCount ? `, ${formatByteCount(movedByteCount)} of it now` : '';
  const verified = sha256 === undefined ? '' : ', SHA-256 is right';
  return `${names}  ${formatByteCount(byteCount)}${resumed} in ${formatDuration(duration)}${rate(movedByteCount, duration)}${verified}`;
}

/** `copied 5 files, 20.3 MB in 4.0s, 5.1 MB/s; 2 were there` */
export function summaryLine({ copied, there, movedByteCount }: CopyReport, duration: Millis): string {
  const files = copied === 1 ? '1 file' : `${copied} files`;
  const others = there === 0 ? '' : `; ${there} ${there === 1 ? 'was' : 'were'} there`;
  const bytes = formatByteCount(movedByteCount);
  return `copied ${files}, ${bytes} in ${formatDuration(duration)}${rate(movedByteCount, duration)}${others}`;
}

/**
 * What stands on the terminal while something is copied.
 *
 * @param open those that are under way, the oldest first
 * @param perSecond bytes, over the last moments
 */
export function progressText(open: readonly FileProgress[], perSecond: number): string {
  const [file] = open;
  if (!file) return '';
  const more = open.length === 1 ? '' : `  and ${open.length - 1} more`;
  const speed = perSecond > 0 ? `  ${formatByteCount(perSecond)}/s` : '';
  const name = shortened(printable(file.from));
  const { done, total, doing } = file;
  if (doing === 'checking') return `${name}  comparing ${formatByteCount(total ?? done)} ...${more}`;
  if (total === undefined) return `${name}  ${formatByteCount(done)}${speed}${more}`;
  const filled = total === 0 ? BAR : Math.floor((done / total) * BAR);
  const bar = `[${'#'.repeat(filled)}${'-'.repeat(BAR - filled)}]`;
  const percent = String(total === 0 ? 100 : Math.floor((done / total) * 100)).padStart(3);
  const left =
    perSecond > 0 && open.length === 1 ? `  ${formatDuration(((total - done) / perSecond) * 1_000)} left` : '';
  return `${name}  ${bar} ${percent}%  ${formatByteCount(done)} of ${formatByteCount(total)}${speed}${left}${more}`;
}

/** `12.3 MB of 20.0 MB of web-1:/x` */
export function stoppedText({ from, done, total }: FileProgress): string {
  return `${formatByteCount(done)}${total === undefined ? '' : ` of ${formatByteCount(total)}`} of ${from}`;
}

export function fileJson(file: CopiedFile, wall: Millis): EventJson {
  const { from, to, outcome, sha256, remarks, error } = file;
  return {
    event: 'file',
    at: isoTime(wall),
    from,
    to,
    outcome,
    bytes: file.byteCount,
    movedBytes: file.movedByteCount,
    durationMs: Math.round(file.duration),
    ...(sha256 !== undefined && { sha256 }),
    remarks: [...remarks],
    ...optionalError(error),
  };
}

function rate(byteCount: number, duration: Millis): string {
  return byteCount < 100_000 || duration <= 0 ? '' : `, ${formatByteCount((byteCount / duration) * 1_000)}/s`;
}

/** The end of a path says more than its beginning. */
function shortened(name: string): string {
  return name.length <= LONGEST_NAME ? name : `…${name.slice(1 - LONGEST_NAME)}`;
}

import type { Unproven } from '../../audit/core/check-journal.ts';
import type { VerifiedJournal } from '../../audit/verify-journal.ts';
import { printable } from './printable.ts';
import { plural } from './tunnel-lines.ts';

/** As many digits of a checkpoint's hash as are noted elsewhere by hand. */
const HASH_DIGITS = 12;

/** What `audit verify` says, line by line. */
export function verifiedLines(check: VerifiedJournal): readonly string[] {
  const { findings, unproven, segments, lines, checkpoints, newest, key, path } = check;
  const about = [plural(segments, 'segment'), plural(lines, 'line'), plural(checkpoints, 'signed checkpoint')].join(
    ', ',
  );
  return [
    `journal ${path}: ${about}`,
    ...(key === undefined
      ? ['  nothing is signed here: chains alone were checked']
      : [`  key ${key.id}, ${KEYS[key.from]}`]),
    ...findings.map(({ file, line, message }) => `  FAIL ${file}:${line}: ${message}`),
    ...unproven.map((each) => `  ${unprovenText(each)}`),
    findings.length > 0
      ? `${plural(findings.length, 'edit')} found`
      : `no edit found${newest === undefined ? '' : ` in what was signed until ${newest.time}`}`,
    ...(newest === undefined
      ? []
      : [
          `newest checkpoint ${newest.checkpoint}:${newest.hash.slice(0, HASH_DIGITS)} (note it elsewhere, for --expect)`,
        ]),
  ].map(printable);
}

const KEYS = {
  named: 'from the file that was named',
  cloud: 'as the key service of the cloud has it',
  own: 'of this machine',
  beside: 'from the same directory: whoever edits there could replace it, so compare it, or name a copy with --key',
} as const;

function unprovenText({ file, fromLine, lines, isTorn }: Unproven): string {
  const there = lines === 0 ? 'nothing is there now' : plural(lines, 'line');
  return `${file}: unproven from line ${fromLine} (${there}${isTorn ? ', and half of one' : ''})`;
}

/** What `audit verify --json` prints. @param isProved as the exit code has it */
export function verifiedJson(check: VerifiedJournal, isProved: boolean) {
  const { findings, unproven, segments, lines, checkpoints, newest, key, path } = check;
  return {
    journal: path,
    proved: isProved,
    segments,
    lines,
    checkpoints,
    key: key ?? null,
    newest: newest === undefined ? null : { checkpoint: newest.checkpoint, hash: newest.hash, time: newest.time },
    findings,
    unproven,
  };
}

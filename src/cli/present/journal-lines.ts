import type { JournalLine } from '../../audit/read-journal.ts';
import { printable } from './printable.ts';
import { clockTime } from './tunnel-lines.ts';

/** What of each record a person wants to see; the file has more. */
const SHOWN: Readonly<Record<string, readonly string[]>> = {
  open: ['person', 'target', 'node', 'reason'],
  session: ['change', 'session'],
  renewal: ['how', 'session', 'downtimeMs'],
  client: ['change', 'from', 'bytesUp', 'bytesDown'],
  denial: ['person', 'target', 'code'],
  end: ['why', 'connections', 'bytesUp', 'bytesDown'],
};

/** Lines of the journal in short, with the time of this machine: `14:25:04 open  person=… target=prod …`. What it tells of its own segments is left out. */
export function journalLines(lines: readonly JournalLine[]): readonly string[] {
  return lines.flatMap(({ event: record, time }) => {
    const event = String(record.event);
    if (event.startsWith('segment-')) return [];
    const shown = (SHOWN[event] ?? []).filter((name) => record[name] !== undefined);
    return [printable([clockTime(time), event.padEnd(7), ...shown.map((name) => `${name}=${record[name]}`)].join(' '))];
  });
}

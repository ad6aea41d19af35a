import { printable } from './printable.ts';
import { clockTime } from './tunnel-lines.ts';

type Fields = Readonly<Record<string, unknown>>;

/** What of each record a person wants to see; the file has more. */
const SHOWN: Readonly<Record<string, readonly string[]>> = {
  open: ['person', 'target', 'node', 'reason'],
  session: ['change', 'session'],
  renewal: ['how', 'session', 'downtimeMs'],
  client: ['change', 'from', 'bytesUp', 'bytesDown'],
  denial: ['person', 'target', 'code'],
  end: ['why', 'connections', 'bytesUp', 'bytesDown'],
};

/** Lines of the journal (JSON) in short, with the time of this machine: `14:25:04 open  person=… target=prod …`. A line that is no record is left out. */
export function journalLines(text: string): readonly string[] {
  return text.split('\n').flatMap((line) => {
    const record = parse(line);
    if (record === undefined) return [];
    const event = String(record.event);
    const shown = (SHOWN[event] ?? []).filter((name) => record[name] !== undefined);
    const time = clockTime(Date.parse(String(record.time)));
    return [printable([time, event.padEnd(7), ...shown.map((name) => `${name}=${record[name]}`)].join(' '))];
  });
}

function parse(line: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Fields) : undefined;
  } catch {
    return undefined;
  }
}

import { readJournal } from '../../src/audit/read-journal.ts';

/** What a journal tells of tunnels, in order of time: its lines about its own segments, and the fields of the chain, left out. */
export function journalRecords(path: string): Record<string, unknown>[] {
  return readJournal(path).lines.flatMap(({ event: { segment, seq, hash, ...record } }) =>
    String(record.event).startsWith('segment-') ? [] : [record],
  );
}

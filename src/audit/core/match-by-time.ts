/*
 * Connections that no side has a name for. The cloud has a record for each one, those that led nowhere included (the far port was
 * closed) and those that were made again after a loss; the journal has the ways that were open, with their clients. So each record must
 * fall into the time of a way to the same place, and each way that a client used must have a record.
 */
import { likelyShift } from './clock-shift.ts';
import { readEndpoint } from './event-words.ts';
import type { JournalUse } from './journal-uses.ts';
import type { Matching, UseRecord } from './reconcile.ts';

/** How long before a line of the journal, or after, the cloud may have decided (guessed: a slow connection, made twice). */
const TOLERANCE = 30_000;

export function matchByTime(
  records: readonly UseRecord[],
  uses: readonly JournalUse[],
  _resolution: number,
  isWanted: (person: string) => boolean,
): Matching {
  const ways = uses.filter(({ kind, person }) => kind === 'way' && person !== undefined && isWanted(person));
  const mine = records.filter(({ use }) => isWanted(use.person));
  const groups = grouped(mine, ways);
  const clock = likelyShift(
    groups.map(({ records: some, ways: theirs }) => ({
      first: theirs.flatMap(({ times }) => times).sort((one, two) => one - two),
      second: some.map(({ at }) => at),
    })),
  );
  const ahead = clock?.ahead ?? 0;
  const explained = new Set<UseRecord>();
  const seen = new Set<JournalUse>();
  for (const { records: some, ways: theirs } of groups) {
    for (const way of theirs) {
      for (const record of some) {
        const at = record.at + ahead;
        if (at < way.at - TOLERANCE || at > way.until + TOLERANCE) continue;
        explained.add(record);
        seen.add(way);
      }
    }
  }
  return {
    agreed: seen.size,
    clock,
    differing: [],
    onlyInCloud: mine.filter((record) => !explained.has(record)),
    // Opened and not used: nobody may have been let through yet.
    onlyInJournal: ways.filter((way) => way.wasUsed && !seen.has(way)),
  };
}

/** Records and ways of the same person, port and node. A way may be in several groups where records do not name the node exactly. */
function grouped(records: readonly UseRecord[], ways: readonly JournalUse[]) {
  const groups = new Map<string, UseRecord[]>();
  for (const record of records) {
    const key = JSON.stringify([record.use.person, record.scope, record.use.node, record.use.port]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [record]);
    else group.push(record);
  }
  return [...groups.values()].map((some) => {
    const { use } = some[0]!;
    const theirs = ways.filter(
      (way) => way.person === use.person && readEndpoint(way.to)?.port === use.port && use.isAt(way.node, way.to),
    );
    return { records: some, ways: theirs };
  });
}

import { middleShift } from './clock-shift.ts';
import type { JournalUse } from './journal-uses.ts';
import type { Difference, Matching, UseRecord } from './reconcile.ts';

/**
 * Sessions that both sides have a name for. What is wanted on either side is compared, so that a session that the journal ascribes to
 * somebody else is found.
 */
export function matchByName(
  records: readonly UseRecord[],
  uses: readonly JournalUse[],
  resolution: number,
  isWanted: (person: string) => boolean,
): Matching {
  const sessions = uses.filter(({ kind }) => kind === 'session');
  const inJournal = new Map(sessions.map((use) => [use.session, use]));
  const inCloud = new Map(records.map((record) => [record.use.session, record]));
  const isMine = (use: JournalUse) => use.person !== undefined && isWanted(use.person);

  const pairs = [...inJournal.values()].flatMap((use) => {
    const record = inCloud.get(use.session);
    return record === undefined ? [] : [{ use, record }];
  });
  // A time that was cut to a second is half of one too early on average.
  const clock = middleShift(pairs.map(({ use, record }) => use.at - (record.at + resolution / 2)));
  const compared = pairs.filter(({ use, record }) => isMine(use) || isWanted(record.use.person));
  const differing = compared.flatMap(({ use, record }): Extract<Difference, { kind: 'differs' }>[] => {
    const what = differencesOf(use, record);
    return what.length === 0 ? [] : [{ kind: 'differs', use, record, what }];
  });
  return {
    agreed: compared.length - differing.length,
    clock: clock && { ...clock, ahead: Math.round(clock.ahead) },
    differing,
    onlyInCloud: records.filter(({ use }) => isWanted(use.person) && !inJournal.has(use.session)),
    onlyInJournal: sessions.filter((use) => isMine(use) && !inCloud.has(use.session)),
  };
}

function differencesOf(use: JournalUse, { use: told }: UseRecord) {
  return [
    ...(use.person !== undefined && use.person !== told.person ? (['person'] as const) : []),
    ...(told.isAt(use.node, use.to) ? [] : (['node'] as const)),
    ...(use.document !== undefined && told.document !== undefined && use.document !== told.document
      ? (['document'] as const)
      : []),
  ];
}

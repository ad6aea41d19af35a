/*
 * A journal held against a cloud's own record of the same time: what one of them lacks, and what they say differently. Nothing is asked
 * here. A cloud that names sessions is compared name by name; one that does not, by machine, port and time. What is too young for the
 * cloud's record to be complete, or lies outside of what was read, is no difference.
 */
import type { AuditReader, CloudRecord, CloudUse } from '../../domain/audit-feed.ts';
import type { ClockShift } from './clock-shift.ts';
import type { JournalUse } from './journal-uses.ts';
import { matchByName } from './match-by-name.ts';
import { matchByTime } from './match-by-time.ts';

/** Clocks that differ by less are taken for the same: certificates, signatures and people allow for it (guessed). */
const CLOCK_LIMIT = 60_000;
/** A session is recorded here a moment after the cloud recorded it, when it carries bytes: in between, the journal lacks nothing yet. */
const WRITING = 30_000;

/** A tunnel is opened and its session started within this time (guessed: looking up a way, waiting for a slow service). */
const OPENING = 120_000;

/** A record of somebody who was, or was not, let through. */
export type UseRecord = CloudRecord & { readonly use: CloudUse };

export type Difference =
  /** `tunnel`: one that the journal had just opened, and whose process wrote nothing more. */
  | { readonly kind: 'not-in-journal'; readonly record: UseRecord; readonly tunnel?: string }
  | { readonly kind: 'not-in-cloud'; readonly use: JournalUse }
  /** The same session, told differently. */
  | {
      readonly kind: 'differs';
      readonly use: JournalUse;
      readonly record: UseRecord;
      readonly what: readonly ('person' | 'node' | 'document')[];
    }
  | { readonly kind: 'clock'; readonly shift: ClockShift };

export interface ReconcileQuestion {
  readonly reader: Pick<AuditReader, 'grain' | 'settle' | 'resolution' | 'scopesOf'>;
  /** In any order, some of them more than once, those of others among them. */
  readonly records: readonly CloudRecord[];
  /** Of any cloud and place. */
  readonly uses: readonly JournalUse[];
  /** Places whose records were read. */
  readonly scopes: ReadonlySet<string>;
  /** What was read has everything from then on. Earlier things are compared, and no difference. */
  readonly from: number;
  /** And until then by the cloud's clock, but for what is still to come in the last `settle`; undefined: until now. */
  readonly to: number | undefined;
  /** Now, by the clock of the journal. */
  readonly now: number;
  readonly isWanted: (person: string) => boolean;
}

export interface Reconciliation {
  readonly differences: readonly Difference[];
  /** What both have. */
  readonly agreed: number;
  /** What the cloud may have by and by. */
  readonly early: readonly JournalUse[];
  /** What the journal may have in a moment. */
  readonly beginning: number;
  /** Uses in the journal from outside of the time that files have. */
  readonly outside: number;
  /** Requests that the cloud refused. */
  readonly refused: number;
  /** Of other people. */
  readonly ofOthers: number;
  /** Records that came again. */
  readonly duplicates: number;
  readonly clock: ClockShift | undefined;
}

/** What a matcher finds. */
export interface Matching {
  readonly agreed: number;
  readonly clock: ClockShift | undefined;
  readonly differing: readonly Extract<Difference, { readonly kind: 'differs' }>[];
  readonly onlyInCloud: readonly UseRecord[];
  readonly onlyInJournal: readonly JournalUse[];
}

export function reconcile(question: ReconcileQuestion): Reconciliation {
  const { reader, from, to, now, isWanted } = question;
  const read = question.records.filter(({ scope }) => question.scopes.has(scope));
  const records = uniqueRecords(read);
  const about = records.filter((record): record is UseRecord => record.use !== undefined);
  const granted = about.filter(({ use }) => use.isGranted);
  const here = question.uses.filter((use) => reader.scopesOf(use).some((scope) => question.scopes.has(scope)));
  const match = reader.grain === 'session' ? matchByName : matchByTime;
  const found = match(granted, here, reader.resolution, isWanted);

  const ahead = found.clock?.ahead ?? 0;
  const cloudEnd = to ?? now - ahead;
  const missing = found.onlyInJournal.map((use) => ({ use, at: use.at - ahead }));
  const early = missing.filter(({ at }) => at >= from && at > cloudEnd - reader.settle);
  const late = missing.filter(({ at }) => at >= from && at <= cloudEnd - reader.settle);
  const unrecorded = found.onlyInCloud.filter(({ at }) => at >= from);
  const unknown = unrecorded.filter(({ at }) => at + ahead <= now - WRITING);
  const differences: Difference[] = [
    ...unknown.map((record): Difference => ({ kind: 'not-in-journal', record, ...unfinished(record, here, ahead) })),
    ...late.map(({ use }): Difference => ({ kind: 'not-in-cloud', use })),
    ...found.differing,
  ];
  differences.sort((one, two) => timeOf(one, ahead) - timeOf(two, ahead));
  const { clock } = found;
  if (clock !== undefined && Math.abs(clock.ahead) >= CLOCK_LIMIT) differences.push({ kind: 'clock', shift: clock });
  return {
    differences,
    agreed: found.agreed,
    early: to === undefined ? early.map(({ use }) => use) : [],
    beginning: unrecorded.length - unknown.length,
    outside: to === undefined ? 0 : missing.length - late.length,
    refused: about.filter(({ use, at }) => !use.isGranted && isWanted(use.person) && at >= from).length,
    ofOthers: granted.filter(({ use, at }) => !isWanted(use.person) && at >= from).length,
    duplicates: read.length - records.length,
    clock,
  };
}

/** The cloud's clock. */
function timeOf(difference: Difference, ahead: number): number {
  if (difference.kind === 'clock') return Number.POSITIVE_INFINITY;
  return difference.kind === 'not-in-cloud' ? difference.use.at - ahead : difference.record.at;
}

function uniqueRecords(records: readonly CloudRecord[]): readonly CloudRecord[] {
  return [...new Map(records.map((record) => [`${record.scope} ${record.id}`, record])).values()];
}

/** A tunnel to the same node that was opened just before, and of which no session is recorded: its process was killed in between. */
function unfinished({ at, use }: UseRecord, uses: readonly JournalUse[], ahead: number): { readonly tunnel?: string } {
  const named = new Set(uses.filter(({ kind }) => kind === 'session').map(({ tunnel }) => tunnel));
  const opened = uses.find(
    (each) =>
      each.kind === 'way' &&
      each.person === use.person &&
      !named.has(each.tunnel) &&
      use.isAt(each.node, each.to) &&
      Math.abs(each.at - ahead - at) <= OPENING,
  );
  return opened === undefined ? {} : { tunnel: opened.tunnel };
}

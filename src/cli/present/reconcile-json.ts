import type { JournalUse } from '../../audit/core/journal-uses.ts';
import type { Difference, Reconciliation, UseRecord } from '../../audit/core/reconcile.ts';
import type { AuditReader } from '../../domain/audit-feed.ts';
import type { Millis } from '../../domain/millis.ts';
import { isoTime } from '../../runtime/iso-time.ts';

/** What one source of records, held against the journal, gave. */
export interface Reconciled {
  /** `aws prod/eu-west-1`, or the files. */
  readonly source: string;
  readonly reader: Pick<AuditReader, 'label' | 'grain' | 'settle' | 'whenSilent'>;
  /** Whose sessions were compared; undefined: everybody's. */
  readonly persons: readonly string[] | undefined;
  readonly since: Millis;
  /** The cloud has no record of anybody. */
  readonly isSilent: boolean;
  readonly result: Reconciliation;
}

/** What `audit reconcile --json` has for one source. */
export function reconciledJson({ source, reader, persons, since, isSilent, result }: Reconciled) {
  const { differences, agreed, early, beginning, outside, refused, ofOthers, duplicates, clock } = result;
  return {
    source,
    records: reader.label,
    persons: persons ?? null,
    since: isoTime(since),
    agreed,
    differences: differences.map(differenceJson),
    tooEarly: early.map(useJson),
    beginning,
    outside,
    refused,
    ofOthers,
    duplicates,
    clock: clock === undefined ? null : { aheadMs: clock.ahead, pairs: clock.pairs },
    remark: isSilent ? reader.whenSilent : null,
  };
}

function differenceJson(difference: Difference) {
  switch (difference.kind) {
    case 'clock':
      return { kind: difference.kind, aheadMs: difference.shift.ahead, pairs: difference.shift.pairs };
    case 'not-in-cloud':
      return { kind: difference.kind, journal: useJson(difference.use) };
    case 'not-in-journal':
      return { kind: difference.kind, cloud: recordJson(difference.record), tunnel: difference.tunnel ?? null };
    case 'differs':
      return {
        kind: difference.kind,
        what: difference.what,
        journal: useJson(difference.use),
        cloud: recordJson(difference.record),
      };
  }
}

function recordJson({ id, at, use: { isAt: _, isGranted: _granted, isOurs, ...use } }: UseRecord) {
  return { id, at: isoTime(at), ...use, ...(isOurs !== undefined && { byCloudtun: isOurs }) };
}

function useJson({ at, session, tunnel, person, place, node, to, document, file, line }: JournalUse) {
  return {
    at: isoTime(at),
    ...(session !== undefined && { session }),
    tunnel,
    ...(person !== undefined && { person }),
    place,
    node,
    ...(to !== undefined && { to }),
    ...(document !== undefined && { document }),
    file,
    line,
  };
}

import { dirname, isAbsolute, resolve } from 'node:path';
import { parseDuration } from '../domain/duration.ts';
import type { Millis } from '../domain/millis.ts';
import type { PlaceKey, ProviderId } from '../domain/target.ts';
import type { Catalogue } from './catalogue.ts';
import type { AuditEntry } from './schema.ts';

/** What the catalogue says of the record of use. */
export interface JournalSettings {
  /** Where it is; the usual place when absent. A path that ends in a slash is a directory. */
  readonly configured?: string;
  /** Whether nothing may be opened that cannot be recorded. */
  readonly isRequired: boolean;
  /** For ever when absent. */
  readonly keep?: Millis;
  /** What signs its checkpoints; a key in a file of this user's when absent. */
  readonly key?: SigningKeySettings;
  /** Where it is sent to as well; none when absent. */
  readonly sinks?: readonly SinkSettings[];
}

/** A key of a cloud's key service. */
export interface SigningKeySettings {
  readonly cloud: ProviderId;
  /** As the cloud names it. */
  readonly key: string;
  readonly place: Readonly<Partial<Record<PlaceKey, string>>>;
}

/** A log of a cloud's log service that the journal is sent to. */
export interface SinkSettings {
  /** `cloudwatch:/cloudtun/audit`: for people, and what its state is kept under. */
  readonly name: string;
  readonly cloud: ProviderId;
  /** As the cloud names it. */
  readonly log: string;
  readonly place: Readonly<Partial<Record<PlaceKey, string>>>;
}

export function journalSettings({ audit, policy }: Pick<Catalogue, 'audit' | 'policy'>): JournalSettings {
  const { journal, keep } = audit;
  const kept = keep === undefined ? undefined : parseDuration(keep, 'audit.keep');
  return {
    isRequired: policy.journal !== 'warn',
    ...(journal !== undefined && journal !== 'default' && { configured: journal }),
    ...(kept !== undefined && { keep: kept }),
    ...(audit.key !== undefined && { key: keySettings(audit.key.kms) }),
    ...(audit.sinks !== undefined && { sinks: audit.sinks.flatMap(sinkSettings) }),
  };
}

function keySettings({ key, ...place }: NonNullable<AuditEntry['key']>['kms']): SigningKeySettings {
  return { cloud: 'aws', key, place: said(place) };
}

const said = (place: Readonly<Partial<Record<PlaceKey, string | undefined>>>) =>
  Object.fromEntries(Object.entries(place).filter(([, value]) => value !== undefined));

function sinkSettings({ cloudwatch, cloudLogging }: NonNullable<AuditEntry['sinks']>[number]): readonly SinkSettings[] {
  const sink = (kind: string, cloud: ProviderId, log: string, place: SinkSettings['place']): SinkSettings => ({
    name: [kind, ...Object.values(place), log].join(':'),
    cloud,
    log,
    place,
  });
  return [
    ...(cloudwatch === undefined
      ? []
      : [
          sink('cloudwatch', 'aws', cloudwatch.group, said({ profile: cloudwatch.profile, region: cloudwatch.region })),
        ]),
    ...(cloudLogging === undefined
      ? []
      : [sink('cloudLogging', 'gcp', cloudLogging.log, said({ project: cloudLogging.project }))]),
  ];
}

/**
 * What one file says. A path without a root is one from the directory of that file: one journal, wherever a command is started.
 *
 * @param file of the catalogue
 */
export function auditOf(file: string, audit: AuditEntry = {}): AuditEntry {
  const { journal } = audit;
  if (journal === undefined || journal === 'default' || isAbsolute(journal)) return audit;
  return { ...audit, journal: resolve(dirname(file), journal) + (journal.endsWith('/') ? '/' : '') };
}

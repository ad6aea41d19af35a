import { parseByteCount } from '../domain/byte-count.ts';
import { parseDuration } from '../domain/duration.ts';
import type { Millis } from '../domain/millis.ts';
import { parseSessionCount, type SessionCount } from '../domain/session-count.ts';
import { PLACE_KEYS, type PlaceKey, type ProviderId } from '../domain/target.ts';
import type { Catalogue, CatalogueTarget } from './catalogue.ts';
import { type JournalSettings, journalSettings } from './journal-settings.ts';
import { type TargetPolicy, targetPolicy } from './target-policy.ts';

/** What flags say, with the `CLOUDTUN_*` environment already behind them; undefined where neither spoke. */
export interface TunnelFlags {
  readonly ttl?: string | undefined;
  /** What a command has of its own instead of the catalogue's time. */
  readonly usualTtl?: string | undefined;
  readonly 'max-bytes'?: string | undefined;
  readonly 'keep-active'?: boolean | undefined;
  readonly sessions?: string | undefined;
  readonly idle?: string | undefined;
  readonly grace?: string | undefined;
  readonly bind?: readonly string[] | undefined;
  readonly profile?: string | undefined;
  readonly region?: string | undefined;
  readonly project?: string | undefined;
  readonly zone?: string | undefined;
}

/** Where to look, of every cloud together; `placeIn` has one cloud's part. */
export type Selection = Readonly<Partial<Record<PlaceKey, string>>>;

/** The settings of one tunnel after the order of spec section 4: flags, environment, project file, user file, default. */
export interface TunnelSettings {
  readonly ttl: Millis | undefined;
  /** As flags or environment say it; undefined where only files do. */
  readonly saidTtl: string | undefined;
  readonly idle: Millis | undefined;
  readonly grace: Millis;
  /** Both directions together. */
  readonly maxBytes: number | undefined;
  /** Sessions are kept from ending because nobody uses them. */
  readonly keepActive: boolean;
  /** Over how many sessions connections spread, where the cloud puts several into one. */
  readonly sessions: SessionCount;
  readonly policy: TargetPolicy;
  readonly journal: JournalSettings;
  /** The most that the policy allows; known once it was asked (plan/policy.ts). */
  readonly longest?: Millis | undefined;
  /** Wall clock: when the hours of the policy end; known once it was asked. */
  readonly hoursEnd?: Millis | undefined;
  /** Undefined: the default, loopback of every family that the machine has. */
  readonly bind: readonly string[] | undefined;
  readonly selection: Selection;
  /** The part of `selection` that flags or the target say: it tells which cloud is meant, where the name does not. */
  readonly said: Selection;
}

/** What holds where nobody says otherwise, as it would be written. */
export const DEFAULT_SETTINGS = {
  ttl: '8h',
  idle: 'none',
  grace: '30s',
  bind: '127.0.0.1, ::1',
  maxBytes: 'none',
  sessions: '1',
} as const;

/**
 * @param place the catalogue's entry that says account and region: the target's own, or the one it is reached through
 * @param target the catalogue's own entry, when the user named one
 * @throws CT_USAGE for a flag that is no duration (the catalogue's were checked when it was read)
 */
export function tunnelSettings(
  flags: TunnelFlags,
  catalogue: Catalogue,
  place?: CatalogueTarget,
  target?: CatalogueTarget,
): TunnelSettings {
  const { defaults } = catalogue;
  const said = firstOf(flags, place ?? {});
  const bind = flags.bind ?? (typeof defaults.bind === 'string' ? [defaults.bind] : defaults.bind);
  return {
    ttl: parseDuration(flags.ttl ?? flags.usualTtl ?? target?.ttl ?? defaults.ttl ?? DEFAULT_SETTINGS.ttl, '--ttl'),
    saidTtl: flags.ttl,
    idle: parseDuration(flags.idle ?? target?.idle ?? defaults.idle ?? DEFAULT_SETTINGS.idle, '--idle'),
    grace: parseDuration(flags.grace ?? defaults.grace ?? DEFAULT_SETTINGS.grace, '--grace') ?? 0,
    maxBytes: parseByteCount(
      flags['max-bytes'] ?? target?.maxBytes ?? defaults.maxBytes ?? DEFAULT_SETTINGS.maxBytes,
      '--max-bytes',
    ),
    keepActive: flags['keep-active'] === true,
    sessions:
      flags.sessions === undefined
        ? (target?.sessions ?? defaults.sessions ?? 1)
        : parseSessionCount(flags.sessions, '--sessions'),
    policy: targetPolicy(catalogue),
    journal: journalSettings(catalogue),
    bind,
    selection: firstOf(said, defaults),
    said,
  };
}

/** The part of a selection that a cloud understands: `region` is AWS's, and no default for the regions of another. */
export function placeIn(cloud: ProviderId, selection: Selection): Selection {
  const keys: readonly string[] = PLACE_KEYS[cloud];
  return Object.fromEntries(Object.entries(selection).filter(([key]) => keys.includes(key)));
}

const KEYS = ['profile', 'region', 'project', 'zone'] as const satisfies readonly PlaceKey[];

function firstOf(...sources: readonly { readonly [Key in PlaceKey]?: string | undefined }[]): Selection {
  const found = KEYS.map((key) => [key, sources.map((source) => source[key]).find((value) => value !== undefined)]);
  return Object.fromEntries(found.filter(([, value]) => value !== undefined));
}

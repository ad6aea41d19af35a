import { parseDuration } from '../domain/duration.ts';
import type { Millis } from '../domain/millis.ts';
import { PLACE_KEYS, type PlaceKey, type ProviderId } from '../domain/target.ts';
import type { Catalogue, CatalogueTarget } from './catalogue.ts';

/** What flags say, with the `CLOUDTUN_*` environment already behind them; undefined where neither spoke. */
export interface TunnelFlags {
  readonly ttl?: string | undefined;
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
  readonly idle: Millis | undefined;
  readonly grace: Millis;
  /** Undefined: the default, loopback of every family that the machine has. */
  readonly bind: readonly string[] | undefined;
  readonly selection: Selection;
  /** The part of `selection` that flags or the target say: it tells which cloud is meant, where the name does not. */
  readonly said: Selection;
}

const DEFAULT_TTL = '8h';
const DEFAULT_GRACE = '30s';

/**
 * @param target the catalogue's own entry, when the user named one
 * @throws CT_USAGE for a flag that is no duration (the catalogue's were checked when it was read)
 */
export function tunnelSettings(flags: TunnelFlags, catalogue: Catalogue, target?: CatalogueTarget): TunnelSettings {
  const { defaults } = catalogue;
  const said = firstOf(flags, target ?? {});
  const bind = flags.bind ?? (typeof defaults.bind === 'string' ? [defaults.bind] : defaults.bind);
  return {
    ttl: parseDuration(flags.ttl ?? defaults.ttl ?? DEFAULT_TTL, '--ttl'),
    idle: parseDuration(flags.idle ?? defaults.idle ?? 'none', '--idle'),
    grace: parseDuration(flags.grace ?? defaults.grace ?? DEFAULT_GRACE, '--grace') ?? 0,
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

import { parseDuration } from '../domain/duration.ts';
import type { Millis } from '../domain/millis.ts';
import type { Catalogue, CatalogueTarget } from './catalogue.ts';

/** What flags say, with the `CLOUDTUN_*` environment already behind them; undefined where neither spoke. */
export interface TunnelFlags {
  readonly ttl?: string | undefined;
  readonly idle?: string | undefined;
  readonly grace?: string | undefined;
  readonly bind?: readonly string[] | undefined;
  readonly profile?: string | undefined;
  readonly region?: string | undefined;
}

/** The settings of one tunnel after the order of spec section 4: flags, environment, project file, user file, default. */
export interface TunnelSettings {
  readonly ttl: Millis | undefined;
  readonly idle: Millis | undefined;
  readonly grace: Millis;
  /** Undefined: the default, loopback of every family that the machine has. */
  readonly bind: readonly string[] | undefined;
  readonly selection: { readonly profile?: string; readonly region?: string };
}

const DEFAULT_TTL = '8h';
const DEFAULT_GRACE = '30s';

/**
 * @param target the catalogue's own entry, when the user named one
 * @throws CT_USAGE for a flag that is no duration (the catalogue's were checked when it was read)
 */
export function tunnelSettings(flags: TunnelFlags, catalogue: Catalogue, target?: CatalogueTarget): TunnelSettings {
  const { defaults } = catalogue;
  const profile = flags.profile ?? target?.profile ?? defaults.profile;
  const region = flags.region ?? target?.region ?? defaults.region;
  const bind = flags.bind ?? (typeof defaults.bind === 'string' ? [defaults.bind] : defaults.bind);
  return {
    ttl: parseDuration(flags.ttl ?? defaults.ttl ?? DEFAULT_TTL, '--ttl'),
    idle: parseDuration(flags.idle ?? defaults.idle ?? 'none', '--idle'),
    grace: parseDuration(flags.grace ?? defaults.grace ?? DEFAULT_GRACE, '--grace') ?? 0,
    bind,
    selection: { ...(profile !== undefined && { profile }), ...(region !== undefined && { region }) },
  };
}

import type { TunnelRequest } from '../broker/broker-types.ts';
import type { Catalogue, CatalogueTarget } from '../config/catalogue.ts';
import { ownPort, stablePort } from '../config/stable-port.ts';
import { type TunnelFlags, type TunnelSettings, tunnelSettings } from '../config/tunnel-settings.ts';
import type { RemoteEndpoint } from '../domain/endpoint.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { ParsedRule } from '../forward/forward-rule.ts';

/*
 * From what the user typed and what the catalogue says to what the broker is asked. Pure: nothing is asked of a cloud. The local
 * port follows in a second step, since the stable one depends on the region, which the provider knows.
 */

export interface PlanFlags extends TunnelFlags {
  readonly port?: string | undefined;
  readonly via?: string | undefined;
  readonly reader?: boolean | undefined;
  readonly reason?: string | undefined;
  readonly document?: string | undefined;
}

/** A local listener as the user asked for it. */
export interface PlannedRule {
  /** Addresses of this rule alone; undefined: those of the settings. */
  readonly bind?: readonly string[];
  /** 0: any free port. */
  readonly port: number | ((region: string) => number);
  /** Undefined for a database, whose endpoint the cloud knows. */
  readonly to?: RemoteEndpoint;
}

export interface TunnelPlan {
  readonly request: TunnelRequest;
  readonly rules: readonly PlannedRule[];
  readonly settings: TunnelSettings;
  /** The login that the catalogue gives for this target. */
  readonly user: string | undefined;
}

/** The plan of `rds NAME`. */
export function planDatabase(name: string, flags: PlanFlags, catalogue: Catalogue): TunnelPlan {
  const entry = catalogue.targets.get(name);
  if (entry && entry.kind !== 'database') throw notA('database', entry, `cloudtun forward ${name}`);
  return databasePlan(name, entry, flags, catalogue);
}

/** The plan of `forward TARGET`, with the rules that were typed; none where the catalogue's target names its own far end. */
export function planForward(
  target: string,
  given: readonly ParsedRule[],
  flags: PlanFlags,
  catalogue: Catalogue,
): TunnelPlan {
  const entry = catalogue.targets.get(target);
  if (entry?.kind === 'gcp') throw unsupported(entry);
  if (entry?.kind === 'database' || entry?.kind === 'host') {
    if (given.length > 0) throw namesItsOwnEnd(entry);
    return entry.kind === 'database'
      ? databasePlan(target, entry, flags, catalogue)
      : hostPlan(entry, flags, catalogue);
  }
  if (given.length === 0) {
    throw new CloudtunError('CT_USAGE', `which port of ${target}? no rule was given`, {
      hint: `say it with -L, for example: cloudtun forward ${target} -L 8080:80`,
    });
  }
  if (flags.port !== undefined) {
    throw new CloudtunError('CT_USAGE', '--port goes with a catalogue target that names its own far end', {
      hint: 'give the local port in the rule: -L 8080:80',
    });
  }
  return {
    request: {
      kind: 'machine',
      text: entry?.instance ?? target,
      to: given.map((rule) => rule.to),
      ...sessionOptions(flags),
    },
    rules: given.map(({ bind, port, to }) => ({ port, to, ...(bind !== undefined && { bind: [bind] }) })),
    settings: tunnelSettings(flags, catalogue, entry),
    user: entry?.user,
  };
}

function databasePlan(
  name: string,
  entry: Extract<CatalogueTarget, { kind: 'database' }> | undefined,
  flags: PlanFlags,
  catalogue: Catalogue,
): TunnelPlan {
  const text = entry?.rds ?? name;
  const bastion = flags.via === undefined ? undefined : catalogue.targets.get(flags.via);
  if (bastion && bastion.kind !== 'machine') throw notA('machine', bastion, undefined);
  const via = bastion?.instance ?? flags.via ?? entry?.via;
  const stable = (region: string) => {
    if (entry && !flags.reader) return ownPort(entry, catalogue, region);
    const place = { region: entry?.region ?? region, ...(entry?.profile !== undefined && { profile: entry.profile }) };
    return stablePort({ kind: 'rds', name: text, isReader: flags.reader === true, ...place });
  };
  return {
    request: {
      kind: 'database',
      text,
      ...(via !== undefined && { via }),
      ...(flags.reader && { reader: true }),
      ...sessionOptions(flags),
    },
    rules: [{ port: parsePort(flags.port) ?? stable }],
    settings: tunnelSettings(flags, catalogue, entry ?? bastion),
    user: entry?.user,
  };
}

function hostPlan(
  entry: Extract<CatalogueTarget, { kind: 'host' }>,
  flags: PlanFlags,
  catalogue: Catalogue,
): TunnelPlan {
  const to = { host: entry.host, port: entry.hostPort };
  return {
    request: { kind: 'machine', text: entry.via, to: [to], ...sessionOptions(flags) },
    rules: [{ port: parsePort(flags.port) ?? ((region) => ownPort(entry, catalogue, region)), to }],
    settings: tunnelSettings(flags, catalogue, entry),
    user: entry.user,
  };
}

function sessionOptions(flags: PlanFlags) {
  return {
    ...(flags.reason !== undefined && { reason: flags.reason }),
    ...(flags.document !== undefined && { document: flags.document }),
  };
}

/** `--port`: a number, or `auto` for any free one. */
export function parsePort(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (text === 'auto') return 0;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port <= 65_535) return port;
  throw new CloudtunError('CT_USAGE', `--port "${text}" is not a port`, {
    hint: 'a number from 1 to 65535, or auto for any free port',
  });
}

function notA(kind: string, entry: CatalogueTarget, command: string | undefined): CloudtunError {
  if (entry.kind === 'gcp') return unsupported(entry);
  return new CloudtunError('CT_USAGE', `"${entry.name}" of ${entry.place.file} is no ${kind}`, {
    details: [['there', `${entry.place.file}:${entry.place.line}:${entry.place.column}`]],
    ...(command !== undefined && { hint: `try: ${command}` }),
  });
}

function unsupported(entry: CatalogueTarget): CloudtunError {
  return new CloudtunError('CT_USAGE', `"${entry.name}" is on Google Cloud, which this version does not reach`);
}

function namesItsOwnEnd(entry: CatalogueTarget): CloudtunError {
  return new CloudtunError('CT_USAGE', `"${entry.name}" of ${entry.place.file} names its own far end`, {
    hint: `leave the rules out: cloudtun forward ${entry.name}`,
  });
}

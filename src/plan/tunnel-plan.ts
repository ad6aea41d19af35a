import type { TunnelRequest } from '../broker/broker-types.ts';
import { entryRequest, SSH_PORT } from '../broker/login-way.ts';
import {
  type Catalogue,
  type CatalogueTarget,
  DATABASE_FORMS,
  type DatabaseForm,
  resolveHops,
} from '../config/catalogue.ts';
import { readIntervals } from '../config/read-intervals.ts';
import { ownPort, type PortPlace, placeOf, stablePort } from '../config/stable-port.ts';
import { type TunnelFlags, type TunnelSettings, tunnelSettings } from '../config/tunnel-settings.ts';
import { splitCloudPrefix } from '../domain/cloud-prefix.ts';
import type { RemoteEndpoint } from '../domain/endpoint.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { GrantVerb } from '../domain/grant.ts';
import { type HopName, parseHopName } from '../domain/hop-name.ts';
import type { ProviderId } from '../domain/target.ts';
import { formatForwardRule, type ParsedRule } from '../forward/forward-rule.ts';
import type { AppQuestion } from './app.ts';
import { pinnedBy } from './pinned.ts';
import { inAnotherCloud, namesItsOwnEnd, notA, throughIt } from './plan-errors.ts';

/*
 * From what the user typed and what the catalogue says to what the broker is asked. Pure: nothing is asked of a cloud. The local
 * port follows in a second step, since the stable one depends on the region or project, which the provider knows.
 */

export interface PlanFlags extends TunnelFlags {
  readonly port?: string | undefined;
  /** Machines to go through, from here outwards. */
  readonly via?: readonly string[] | undefined;
  readonly reader?: boolean | undefined;
  readonly reason?: string | undefined;
  readonly document?: string | undefined;
}

/** A local listener as the user asked for it. */
export interface PlannedRule {
  /** Addresses of this rule alone; undefined: those of the settings. */
  readonly bind?: readonly string[];
  /** 0 stands for any free port. */
  readonly port: number | ((place: PortPlace) => number);
  /** Undefined for a database, whose endpoint the cloud knows, and for `socks`, whose clients name theirs. */
  readonly to?: RemoteEndpoint;
}

export interface TunnelPlan {
  readonly request: TunnelRequest;
  /** Where command, catalogue or a prefix say it; else the name of the target has to tell. */
  readonly cloud: ProviderId | undefined;
  readonly rules: readonly PlannedRule[];
  readonly settings: TunnelSettings;
  /** Whoever follows the plan logs in, with a key that the cloud lets in for this user: a guessed one when absent. */
  readonly pushedKey?: { readonly user: string | undefined };
  /** The login that the catalogue gives for this target. */
  readonly user: string | undefined;
  /** Where else something will listen, here or on the far side, and what says so: `--bind-remote`. */
  readonly listens?: readonly { readonly address: string; readonly by: string }[];
}

/** The plan of `rds NAME` and `sql NAME`. */
export function planDatabase(form: DatabaseForm, name: string, flags: PlanFlags, catalogue: Catalogue): TunnelPlan {
  const entry = catalogue.targets.get(name);
  if (entry && entry.kind !== 'database') throw notA('database', entry, `cloudtun forward ${name}`);
  if (entry && entry.form !== form) throw notA(`${form} database`, entry, `cloudtun ${entry.form} ${name}`);
  return databasePlan(form, name, entry, flags, catalogue);
}

/**
 * The plan of `forward TARGET`, with the rules that were typed; none where the target names its own far end.
 *
 * @param farPort the port in a TARGET that names one by itself, `host:port@region/network/group`
 */
export function planForward(
  target: string,
  given: readonly ParsedRule[],
  flags: PlanFlags,
  catalogue: Catalogue,
  farPort?: number,
): TunnelPlan {
  const entry = catalogue.targets.get(target);
  if (entry && entry.kind !== 'machine') {
    if (given.length > 0) throw namesItsOwnEnd(entry);
    return entry.kind === 'database'
      ? databasePlan(entry.form, target, entry, flags, catalogue)
      : hostPlan(entry, flags, catalogue);
  }
  const { cloud, ...machine } = machineNamed(target, entry, flags, catalogue);
  const { text } = machine;
  const own = farPort ?? entry?.hostPort;
  const rules =
    given.length === 0 && own !== undefined
      ? [ownRule(text, own, entry, flags, catalogue)]
      : typedRules(target, given, flags, farPort);
  const settings = tunnelSettings(flags, catalogue, placeFrom(entry, flags, catalogue), entry);
  const to = rules.map((rule) => rule.to);
  const options = sessionOptions(flags, catalogue, given.length === 0 ? entry : undefined, 'connect');
  return {
    request: { kind: 'machine', ...machine, to, ...options, ...spreadOver(settings) },
    cloud,
    rules,
    settings,
    user: entry?.user,
  };
}

/** The port that SOCKS has at IANA. */
const SOCKS_PORT = 1080;

/** The plan of `socks TARGET`: one local port, and what its clients name. */
export function planSocks(target: string, flags: PlanFlags, catalogue: Catalogue): TunnelPlan {
  const entry = catalogue.targets.get(target);
  if (entry?.kind === 'database') throw notA('machine', entry, throughIt('socks', entry));
  const { cloud, ...machine } = machineNamed(target, entry, flags, catalogue);
  const settings = tunnelSettings(flags, catalogue, placeFrom(entry, flags, catalogue), entry);
  return {
    request: {
      kind: 'machine',
      ...machine,
      to: [],
      anywhere: true,
      ...sessionOptions(flags, catalogue, entry, 'socks'),
      ...spreadOver(settings),
    },
    cloud,
    rules: [{ port: parsePort(flags.port) ?? SOCKS_PORT }],
    settings,
    user: undefined,
  };
}

/**
 * The plan of `ssh TARGET`: no local port, one endpoint of the machine.
 *
 * @param login the port of its sshd (the catalogue's, or the usual one, when absent), what the journal says of the use, as whom where a
 *   person said it, and whether with a key of their own
 */
export function planSsh(
  target: string,
  flags: PlanFlags,
  catalogue: Catalogue,
  login: {
    readonly port: number | undefined;
    readonly use: string;
    readonly user?: string | undefined;
    readonly hasOwnKey?: boolean;
  },
): TunnelPlan {
  const entry = catalogue.targets.get(target);
  if (entry?.kind === 'database') throw notA('machine', entry, throughIt('ssh', entry));
  const { cloud, login: named, ...machine } = machineNamed(target, entry, flags, catalogue);
  const to = { port: login.port ?? named?.port ?? SSH_PORT };
  return {
    request: {
      kind: 'machine',
      ...machine,
      to: [to],
      use: login.use,
      ...sessionOptions(flags, catalogue, entry, 'ssh'),
    },
    cloud,
    rules: [{ bind: [], port: 0, to }],
    settings: tunnelSettings(flags, catalogue, placeFrom(entry, flags, catalogue), entry),
    ...(!login.hasOwnKey && { pushedKey: { user: login.user ?? entry?.user } }),
    user: entry?.user,
  };
}

/** The entry of the catalogue at which the way of the flags begins. */
function wayIn({ via }: PlanFlags, { targets }: Catalogue): CatalogueTarget | undefined {
  if (via?.[0] === undefined) return undefined;
  const { cloud, text } = parseHopName(via[0]);
  return cloud === undefined ? targets.get(text) : undefined;
}

/** What says account and region: the target itself; for a host, which is in none, what it is reached through. */
function placeFrom(
  entry: CatalogueTarget | undefined,
  flags: PlanFlags,
  catalogue: Catalogue,
): CatalogueTarget | undefined {
  const way = wayIn(flags, catalogue);
  return entry?.kind === 'host' ? (way ?? entry) : (entry ?? way);
}

/** Which cloud to ask for a plan's target. */
export function questionOf({ cloud, request, settings }: TunnelPlan): AppQuestion {
  const { said, selection, journal } = settings;
  return { cloud, target: entryRequest(request).text, said, selection, journal };
}

/** Of a machine rule the far end is always known. */
type MachineRule = PlannedRule & { readonly to: RemoteEndpoint };

function ownRule(
  text: string,
  port: number,
  entry: Extract<CatalogueTarget, { kind: 'machine' }> | undefined,
  flags: PlanFlags,
  catalogue: Catalogue,
): MachineRule {
  const stable = (place: PortPlace) => {
    if (entry?.hostPort === port) return ownPort(entry, catalogue, place);
    const where = (entry && placeOf(entry, catalogue, place)) ?? { cloud: place.id, scope: place.scope };
    return stablePort({ ...where, kind: 'machine', name: text, port });
  };
  return { port: parsePort(flags.port) ?? entry?.port ?? stable, to: { port } };
}

function typedRules(
  target: string,
  given: readonly ParsedRule[],
  flags: PlanFlags,
  farPort: number | undefined,
): readonly MachineRule[] {
  if (given.length === 0) {
    throw new CloudtunError('CT_USAGE', `which port of ${target}? no rule was given`, {
      hint: `say it with -L, for example: cloudtun forward ${target} -L 8080:80`,
    });
  }
  if (flags.port !== undefined) {
    throw new CloudtunError('CT_USAGE', '--port goes with a target that names its own far end', {
      hint: 'give the local port in the rule: -L 8080:80',
    });
  }
  return given.map((rule) => ({
    port: rule.port,
    to: farPort === undefined ? rule.to : farEndOf(rule, target, farPort),
    ...(rule.bind !== undefined && { bind: [rule.bind] }),
  }));
}

/** A rule beside a target that names its port: `-L 8080` is a local port then, and `-L 8080:5432` may only repeat the far one. */
function farEndOf(rule: ParsedRule, target: string, farPort: number): RemoteEndpoint {
  const isLocalOnly = rule.to.host === undefined && rule.to.port === rule.port;
  if (isLocalOnly || (rule.to.host === undefined && rule.to.port === farPort)) return { port: farPort };
  throw new CloudtunError(
    'CT_USAGE',
    `${target} names port ${farPort}, and the rule ${formatForwardRule(rule)} another`,
    {
      hint: 'leave the port out of the name, or give the local port alone: -L 8080',
    },
  );
}

function databasePlan(
  form: DatabaseForm,
  name: string,
  entry: Extract<CatalogueTarget, { kind: 'database' }> | undefined,
  flags: PlanFlags,
  catalogue: Catalogue,
): TunnelPlan {
  const cloud = DATABASE_FORMS[form];
  const text = entry ? qualifiedName(entry) : textIn(cloud, name);
  const via = flags.via === undefined ? entry?.via : resolveHops(flags.via, catalogue);
  const foreign = via?.find((hop) => hop.cloud !== undefined && hop.cloud !== cloud);
  if (foreign) throw inAnotherCloud(foreign.text, foreign.cloud!, cloud);
  const stable = (place: PortPlace) => {
    if (entry && !flags.reader) return ownPort(entry, catalogue, place);
    const where = (entry && placeOf(entry, catalogue, place)) ?? { cloud, scope: place.scope };
    return stablePort({ ...where, kind: form, name: entry?.database ?? text, isReader: flags.reader === true });
  };
  const settings = tunnelSettings(flags, catalogue, placeFrom(entry, flags, catalogue), entry);
  return {
    request: {
      kind: 'database',
      text,
      ...(via !== undefined && { via }),
      ...(flags.reader && { reader: true }),
      ...sessionOptions(flags, catalogue, flags.reader ? undefined : entry, 'connect'),
      ...spreadOver(settings),
    },
    cloud,
    rules: [{ port: parsePort(flags.port) ?? stable }],
    settings,
    user: entry?.user,
  };
}

/** Where the catalogue says the region of a database whose cloud names them by project and region, the whole name. */
function qualifiedName(entry: Extract<CatalogueTarget, { kind: 'database' }>): string {
  const { form, project, region, database } = entry;
  const isWhole = form !== 'sql' || database.includes(':') || project === undefined || region === undefined;
  return isWhole ? database : `${project}:${region}:${database}`;
}

function hostPlan(
  entry: Extract<CatalogueTarget, { kind: 'host' }>,
  flags: PlanFlags,
  catalogue: Catalogue,
): TunnelPlan {
  const to = { host: entry.host, port: entry.hostPort };
  const via = flags.via === undefined ? entry.via : resolveHops(flags.via, catalogue);
  const before = via.slice(0, -1);
  const { text, user, port } = via.at(-1)!;
  const login = { ...(user !== undefined && { user }), ...(port !== undefined && { port }) };
  const settings = tunnelSettings(flags, catalogue, placeFrom(entry, flags, catalogue), entry);
  return {
    request: {
      kind: 'machine',
      text,
      ...(before.length > 0 && { via: before }),
      ...(Object.keys(login).length > 0 && { login }),
      to: [to],
      ...sessionOptions(flags, catalogue, entry, 'connect'),
      ...spreadOver(settings),
    },
    cloud: via[0]!.cloud ?? entry.cloud,
    rules: [{ port: parsePort(flags.port) ?? ((place) => ownPort(entry, catalogue, place)), to }],
    settings,
    user: entry.user,
  };
}

/** A TARGET that is a machine, or a host of the catalogue that is logged in to like one: what it is called where it is, and the way there. */
function machineNamed(
  target: string,
  entry: Extract<CatalogueTarget, { kind: 'machine' | 'host' }> | undefined,
  flags: PlanFlags,
  catalogue: Catalogue,
) {
  const via = flags.via === undefined ? entry?.via : resolveHops(flags.via, catalogue);
  const { user, named } = userOf(target);
  const own = splitCloudPrefix(named);
  // A host of the catalogue is wherever its way leads; a machine is in one cloud, which its way has to begin in.
  const itself = entry?.kind === 'machine' ? entry.cloud : entry === undefined ? own.cloud : undefined;
  const cloud = cloudOf(named, itself, via) ?? entry?.cloud;
  const text = entry === undefined ? own.text : entry.kind === 'machine' ? entry.instance : entry.host;
  const login: { readonly user?: string; readonly port?: number } | undefined =
    entry?.kind === 'host'
      ? { port: entry.hostPort, ...(entry.user && { user: entry.user }) }
      : entry === undefined && user !== undefined
        ? { user }
        : undefined;
  return { cloud, text, ...(via !== undefined && { via }), ...(login && { login }) };
}

/** The one cloud that a machine and everything on the way to it say. @throws CT_USAGE where they say several */
function cloudOf(name: string, itself: ProviderId | undefined, via: readonly HopName[] = []): ProviderId | undefined {
  const said = via.find((hop) => hop.cloud !== undefined);
  const cloud = itself ?? said?.cloud;
  const foreign = via.find((hop) => hop.cloud !== undefined && hop.cloud !== cloud);
  if (cloud === undefined || foreign === undefined) return cloud;
  const first = itself === undefined ? said!.text : name;
  throw new CloudtunError(
    'CT_USAGE',
    `"${first}" is in ${cloud}, and "${foreign.text}" on the way in ${foreign.cloud}`,
    {
      hint: 'a machine of another cloud is just a host there: name it by an address that the hop before it reaches',
    },
  );
}

/** `deploy@inner`: as whom a machine is logged in to, where that has to be; a name with a slash behind the `@` is a destination group. */
function userOf(target: string): { readonly user?: string; readonly named: string } {
  const [, user, named] = /^([A-Za-z_][\w.-]*)@([^/]+)$/.exec(target) ?? [];
  return user === undefined || named === undefined ? { named: target } : { user, named };
}

/** A login is one connection, and has no use for it. */
const spreadOver = ({ sessions }: TunnelSettings) => (sessions === 1 ? {} : { sessions });

function sessionOptions(flags: PlanFlags, catalogue: Catalogue, entry: CatalogueTarget | undefined, verb: GrantVerb) {
  const { defaults } = catalogue;
  return {
    ...(flags.document === undefined && pinnedBy(entry, verb, catalogue)),
    ...(defaults.intervals && { intervals: readIntervals(defaults.intervals) }),
    ...(flags.reason !== undefined && { reason: flags.reason }),
    ...(flags.document !== undefined && { document: flags.document }),
    ...(flags['keep-active'] && { keepActive: true as const }),
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

/** A TARGET without its cloud prefix, which must be the cloud that the command is about. */
function textIn(cloud: ProviderId, typed: string): string {
  const { cloud: prefix, text } = splitCloudPrefix(typed);
  if (prefix !== undefined && prefix !== cloud) throw inAnotherCloud(text, prefix, cloud);
  return text;
}

import { isIP } from 'node:net';
import type { AuditReader, CloudRecord, CloudUse } from '../../domain/audit-feed.ts';
import { parseIsoTime } from '../../runtime/iso-time.ts';

/** The members of a log entry with an AuditLog in it that we read ("LogEntry", "AuditLog"). */
interface AuditEntry {
  readonly insertId: string;
  readonly logName: string;
  readonly timestamp?: string;
  readonly receiveTimestamp?: string;
  readonly resource?: { readonly labels?: Readonly<Record<string, string>> };
  readonly protoPayload: {
    readonly serviceName?: string;
    readonly methodName?: string;
    readonly status?: { readonly code?: number };
    readonly authenticationInfo?: { readonly principalEmail?: string; readonly principalSubject?: string };
    readonly authorizationInfo?: readonly {
      readonly resource?: string;
      readonly permission?: string;
      readonly granted?: boolean;
    }[];
    readonly requestMetadata?: {
      readonly callerIp?: string;
      readonly callerSuppliedUserAgent?: string;
      readonly destinationAttributes?: { readonly ip?: string; readonly port?: string | number };
    };
  };
}

/** Cloud Audit Logs: an `AuthorizeUser` entry for each connection, in the Data Access log of the project. */
export const cloudAuditReader: AuditReader = {
  label: 'Cloud Audit Logs',
  grain: 'connection',
  // Entries come within seconds as a rule; nothing is promised (guessed).
  settle: 300_000,
  resolution: 1,
  whenSilent:
    'the project has no AuthorizeUser entry of anybody: its Data Access log is off unless auditConfigs of the project turn on DATA_READ for iap.googleapis.com',
  read: readEntry,
  scopesOf: ({ place, node }) => {
    if (!place.startsWith('gcp ')) return [];
    // A machine's own id begins with its project; a host of a destination group lies in one of the projects that were looked in.
    const [project, ...rest] = node.split('/');
    if (rest.length === 2 && !node.includes('@')) return [project!];
    return place.slice('gcp '.length).split('/')[0]!.split(',');
  },
};

/** The machine of an entry: where it is, and the number by which alone entries know it. */
export function instanceOf(value: unknown): { readonly zone: string; readonly number: string } | undefined {
  const { zone, instance_id: number } = asEntry(value)?.resource?.labels ?? {};
  return zone === undefined || number === undefined ? undefined : { zone, number };
}

/** @param names names of machines by their numbers, as far as they are known */
export function readEntry(value: unknown, names?: ReadonlyMap<string, string>): CloudRecord | undefined {
  const entry = asEntry(value);
  const at = entry && parseIsoTime(entry.timestamp ?? entry.receiveTimestamp ?? '');
  if (entry === undefined || at === undefined) return undefined;
  const { serviceName, methodName, authorizationInfo = [] } = entry.protoPayload;
  const scope = entry.logName.split('/')[1]!;
  // Web applications behind the proxy have such entries as well.
  const isTunnel =
    serviceName === 'iap.googleapis.com' &&
    methodName === 'AuthorizeUser' &&
    authorizationInfo.some(({ permission = '' }) => /^iap\.tunnel/.test(permission));
  return { id: entry.insertId, at, scope, ...(isTunnel && { use: useOf(entry, scope, names) }) };
}

function useOf(entry: AuditEntry, project: string, names?: ReadonlyMap<string, string>): CloudUse {
  const { authenticationInfo, authorizationInfo = [], requestMetadata, status } = entry.protoPayload;
  const { ip, port } = requestMetadata?.destinationAttributes ?? {};
  const { callerIp, callerSuppliedUserAgent: program } = requestMetadata ?? {};
  const far = Number(port);
  return {
    person: authenticationInfo?.principalEmail ?? authenticationInfo?.principalSubject ?? 'unknown',
    ...placeOf(entry, project, ip, names),
    ...(Number.isInteger(far) && { port: far }),
    ...(callerIp !== undefined && { address: callerIp }),
    ...(program !== undefined && { program, isOurs: /\bcloudtun\b/.test(program) }),
    isGranted: (status?.code ?? 0) === 0 && authorizationInfo.every(({ granted }) => granted !== false),
  };
}

function placeOf(
  entry: AuditEntry,
  project: string,
  ip: string | undefined,
  names: ReadonlyMap<string, string> | undefined,
): Pick<CloudUse, 'node' | 'isAt'> {
  const resource = entry.protoPayload.authorizationInfo?.[0]?.resource ?? '';
  const [, region, group] = /\/locations\/([^/]+)\/destGroups\/([^/]+)$/.exec(resource) ?? [];
  if (region !== undefined && group !== undefined) {
    return {
      node: `${group} in ${region}${ip === undefined ? '' : ` (${ip})`}`,
      isAt: (node, to) => isInGroup(node, region, group) && isSameAddress(ip, to),
    };
  }
  const machine = instanceOf(entry);
  if (machine === undefined) return { node: resource || project, isAt: (node) => node.startsWith(`${project}/`) };
  const name = names?.get(machine.number);
  const start = `${project}/${machine.zone}/`;
  return {
    node: start + (name ?? machine.number),
    // Without a name the zone and the port must do.
    isAt: (node) => (name === undefined ? node.startsWith(start) : node === start + name),
  };
}

/** `host@region/network/group`, where the group may be left out. */
function isInGroup(node: string, region: string, group: string): boolean {
  const [, where = ''] = node.split('@');
  const [itsRegion, , itsGroup] = where.split('/');
  return itsRegion === region && (itsGroup === undefined || itsGroup === group);
}

function isSameAddress(ip: string | undefined, to: string | undefined): boolean {
  const host = to?.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1') ?? '';
  return ip === undefined || isIP(host) === 0 || isIP(host) !== isIP(ip) || host === ip;
}

function asEntry(value: unknown): AuditEntry | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { insertId, logName, protoPayload } = value as Readonly<Record<string, unknown>>;
  const isAudit =
    typeof insertId === 'string' &&
    typeof logName === 'string' &&
    /^projects\/[^/]+\/logs\/cloudaudit\.googleapis\.com/.test(logName) &&
    typeof protoPayload === 'object' &&
    protoPayload !== null;
  return isAudit ? (value as AuditEntry) : undefined;
}

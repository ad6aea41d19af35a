import { isIP } from 'node:net';
import { CloudtunError } from '../../domain/errors.ts';

/** A TARGET of spec section 3, as far as its spelling tells what it is. */
export type NodeName =
  | { readonly by: 'path'; readonly project: string; readonly zone: string; readonly instance: string }
  | {
      readonly by: 'group';
      readonly host: string;
      readonly region: string;
      readonly network: string;
      readonly group: string | undefined;
    }
  | { readonly by: 'label'; readonly key: string; readonly value: string }
  | { readonly by: 'ip'; readonly ip: string }
  /** The number that Compute Engine gave it. */
  | { readonly by: 'number'; readonly number: string }
  | { readonly by: 'name'; readonly name: string };

/** Prefixes of the other cloud and of later versions. */
const FOREIGN = /^(aws|tag|asg|ecs|rds|elasticache):/;
/** RFC 1035 labels, as Compute Engine wants them. */
const INSTANCE = /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/;
const REGION = /^[a-z]+-[a-z]+\d+$/;

const withoutCloud = (text: string) => text.trim().replace(/^gcp:/, '');
const usage = (sentence: string, hint: string) => new CloudtunError('CT_USAGE', sentence, { hint });

function refuseForeign(name: string, text: string): void {
  if (name === '') throw usage('the name of the target is empty', 'see all: cloudtun targets');
  if (FOREIGN.test(name)) throw usage(`"${text}" is no target of Google Cloud`, 'see all: cloudtun targets');
}

/** @throws CT_USAGE for what can be no machine and no host of a destination group */
export function parseNodeName(text: string): NodeName {
  const name = withoutCloud(text);
  refuseForeign(name, text);
  if (name.startsWith('sql:')) {
    throw usage(`"${name}" is a database, not a machine`, `cloudtun sql ${name.slice(4)}`);
  }
  if (name.includes('@')) return parseGroupHost(name);
  if (name.startsWith('label:')) {
    const [, key, value] = /^label:([^=]+)=(.*)$/s.exec(name) ?? [];
    if (key === undefined || value === undefined) {
      throw usage(`"${name}" is no label`, 'write label:key=value, such as label:role=bastion');
    }
    return { by: 'label', key, value };
  }
  const address = name.replace(/^\[(.*)\]$/, '$1');
  if (isIP(address) !== 0) return { by: 'ip', ip: address.toLowerCase() };
  if (/^\d+$/.test(name)) return { by: 'number', number: name };
  const byDns = /^([^.]+)\.([^.]+)\.c\.([^/]+)\.internal\.?$/i.exec(name);
  // The internal DNS name of a project of a domain has its parts turned round: `acme.example.com` is `example.com:acme`.
  if (byDns !== null) {
    const [, instance, zone, project] = byDns;
    return { by: 'path', project: projectOfDns(project!), zone: zone!, instance: instance! };
  }
  if (name.includes('/')) return parsePath(name);
  return { by: 'name', name };
}

function projectOfDns(text: string): string {
  const [id, ...domain] = text.split('.');
  return domain.length === 0 ? id! : `${domain.join('.')}:${id}`;
}

function parsePath(name: string): NodeName {
  const [, project, zone, instance] = /^([^/]+)\/([^/]+)\/([^/]+)$/.exec(name) ?? [];
  if (project === undefined || zone === undefined || instance === undefined) {
    throw usage(`"${name}" names no instance`, 'write project/zone/instance, such as acme/europe-west4-a/web-1');
  }
  if (!INSTANCE.test(instance) && !/^\d+$/.test(instance)) {
    throw usage(`"${instance}" can be no name of an instance`, 'names have lower-case letters, digits and hyphens');
  }
  return { by: 'path', project, zone, instance };
}

/** `host[:port]@region/network[/group]`; the front end has the port already. */
function parseGroupHost(name: string): NodeName {
  const [, where = '', region = '', network = '', group] = /^([^@]*)@([^/]+)\/([^/]+)(?:\/([^/]+))?$/.exec(name) ?? [];
  if (!REGION.test(region) || network === '') {
    throw usage(
      `"${name}" names no host of a destination group`,
      'write host:port@region/network/group, such as 10.0.0.5:5432@europe-west4/default/databases',
    );
  }
  const host = hostWithoutPort(where);
  if (host === '') throw usage(`"${name}" names no host`, 'write host:port@region/network/group');
  return { by: 'group', host, region, network, group };
}

function hostWithoutPort(text: string): string {
  const bracketed = /^\[([^\]]+)\](:\d+)?$/.exec(text);
  if (bracketed !== null) return bracketed[1]!;
  // Two colons or more: an IPv6 address without brackets, and so without a port.
  return text.split(':').length > 2 ? text : text.replace(/:\d+$/, '');
}

export interface DatabaseName {
  readonly project: string | undefined;
  readonly region: string | undefined;
  readonly name: string;
}

/** `sql:project:region:name`, `project:region:name`, or `[sql:]name`. @throws CT_USAGE */
export function parseDatabaseName(text: string): DatabaseName {
  const name = withoutCloud(text).replace(/^sql:/, '');
  refuseForeign(name, text);
  const parts = name.split(':');
  const instance = parts.at(-1)!;
  if (!/^[a-z][a-z0-9-]*$/.test(instance) || parts.length === 2 || parts.length > 4) {
    throw usage(`"${text}" names no Cloud SQL instance`, 'write its name, or project:region:name');
  }
  if (parts.length === 1) return { project: undefined, region: undefined, name: instance };
  return { project: parts.slice(0, -2).join(':'), region: parts.at(-2), name: instance };
}

/** What `--via` may name for a database. */
export type ViaName =
  /** A destination group: every host of its own, or the database's address in it. */
  | { readonly by: 'group'; readonly region: string; readonly network: string; readonly group: string | undefined }
  /** A machine where something forwards to the database, such as the Cloud SQL Auth Proxy on `port`. */
  | { readonly by: 'machine'; readonly text: string; readonly port: number | undefined };

/** @throws CT_USAGE */
export function parseVia(text: string): ViaName {
  const name = withoutCloud(text);
  if (name.includes('@')) {
    const parsed = parseNodeName(name.startsWith('@') ? `host${name}` : name);
    if (parsed.by === 'group') return parsed;
  }
  const [, machine, port] = /^(.+?):(\d{1,5})$/.exec(name) ?? [];
  const isAddress = isIP(name) !== 0;
  if (machine === undefined || isAddress || name.startsWith('label:')) {
    const labelled = /^(label:[^=]+=.+):(\d{1,5})$/.exec(name);
    return labelled === null
      ? { by: 'machine', text: name, port: undefined }
      : { by: 'machine', text: labelled[1]!, port: portNumber(labelled[2]!, text) };
  }
  return { by: 'machine', text: machine, port: portNumber(port!, text) };
}

function portNumber(digits: string, text: string): number {
  const port = Number(digits);
  if (port >= 1 && port <= 65_535) return port;
  throw usage(`"${text}" has no usable port`, 'ports are 1 to 65535');
}

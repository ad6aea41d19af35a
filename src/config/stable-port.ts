import { createHash } from 'node:crypto';
import { CloudtunError } from '../domain/errors.ts';
import type { HopName } from '../domain/hop-name.ts';
import { PLACE_KEYS, type ProviderId } from '../domain/target.ts';
import type { Catalogue, CatalogueTarget, DatabaseForm } from './catalogue.ts';

/*
 * The local port that a target has every day on every machine of a team (spec section 4). What is hashed is what the user or the
 * catalogue says of the target, never what the cloud answers: a machine that is replaced tomorrow keeps its port, and collisions
 * inside a catalogue can be told without asking anybody. A profile counts only where the catalogue names it, since outside of it
 * profile names are personal.
 */

const FIRST_PORT = 20_000;
const PORT_COUNT = 10_000;

/** Where a target is looked up; a Provider is one. */
export interface PortPlace {
  readonly id: ProviderId;
  /** As in Provider: the region on AWS, the project on Google Cloud. */
  readonly scope: string;
}

/** A target as the port rule sees it. */
export interface PortSubject {
  readonly cloud: ProviderId;
  readonly scope: string;
  readonly kind: DatabaseForm | 'machine' | 'host';
  /** The TARGET text, or `host:port` for a host. */
  readonly name: string;
  /** The far port; left out where it follows from the name (a database). */
  readonly port?: number;
  readonly isReader?: boolean;
  /** The machine in between, when the user or the catalogue names it: two networks may have the same `admin.internal`. */
  readonly via?: string;
  readonly profile?: string;
}

export function stablePort(subject: PortSubject): number {
  const canonical = JSON.stringify([
    subject.cloud,
    subject.scope,
    subject.profile ?? '',
    subject.kind,
    subject.name,
    subject.port ?? 0,
    subject.isReader === true,
    subject.kind === 'host' ? (subject.via ?? '') : '',
  ]);
  return FIRST_PORT + (createHash('sha256').update(canonical).digest().readUInt32BE(0) % PORT_COUNT);
}

/** What is the same for every port rule about a catalogue entry: where it is, as far as the file and `place` say. */
export function placeOf(
  target: CatalogueTarget,
  catalogue: Pick<Catalogue, 'defaults'>,
  place: PortPlace,
): Pick<PortSubject, 'cloud' | 'scope' | 'profile'> | undefined {
  const cloud = target.cloud ?? place.id;
  const [key] = PLACE_KEYS[cloud];
  const scope = target[key] ?? (cloud === place.id ? place.scope : catalogue.defaults[key]);
  if (scope === undefined) return undefined;
  return { cloud, scope, ...(target.profile !== undefined && { profile: target.profile }) };
}

/**
 * The local port of a catalogue target that reaches one far end, after making sure that no other target has it too. Two ports that
 * were both written by hand are the author's choice; of a target in another cloud, whose place no file names, no port is known.
 *
 * @param place the cloud of this target, and where targets are there that name no place themselves
 * @throws CT_CONFIG naming both targets
 */
export function ownPort(target: CatalogueTarget, catalogue: Catalogue, place: PortPlace): number {
  const port = cataloguePort(target, catalogue, place);
  if (port === undefined) throw new CloudtunError('CT_INTERNAL', `"${target.name}" is not in ${place.id}`);
  for (const other of catalogue.targets.values()) {
    const isByHand = target.port !== undefined && other.port !== undefined;
    if (other.name === target.name || isByHand || cataloguePort(other, catalogue, place) !== port) continue;
    throw sharedPort(target, other, port);
  }
  return port;
}

/**
 * Targets whose local ports meet, as far as the files say where their targets are: a place that only the environment of a user says is
 * not the same for the team.
 */
export function sharedPorts(catalogue: Catalogue): readonly CloudtunError[] {
  const found: CloudtunError[] = [];
  const ports = new Map<number, { readonly target: CatalogueTarget; readonly isByHand: boolean }>();
  for (const target of catalogue.targets.values()) {
    const port = target.port ?? knownPort(target, catalogue);
    if (port === undefined) continue;
    const isByHand = target.port !== undefined;
    const other = ports.get(port);
    if (other === undefined) ports.set(port, { target, isByHand });
    else if (!other.isByHand || !isByHand) found.push(sharedPort(target, other.target, port));
  }
  for (const [group, names] of catalogue.groups) found.push(...sharedInGroup(group, names, catalogue));
  return found;
}

/** Two targets with the same port by hand are never open together, unless a group says so. */
function sharedInGroup(group: string, names: readonly string[], { targets }: Catalogue): readonly CloudtunError[] {
  const members = [...new Set(names)].flatMap((name) => targets.get(name) ?? []);
  return members.flatMap((target, index) => {
    const { port } = target;
    const other = members.slice(0, index).find((each) => port !== undefined && each.port === port);
    if (other === undefined || port === undefined) return [];
    const message = `group "${group}" opens "${target.name}" and "${other.name}", which both have local port ${port}`;
    return [new CloudtunError('CT_CONFIG', message, collision(target, other, port))];
  });
}

/** Undefined where no file says where the target is. */
export function knownPort(target: CatalogueTarget, catalogue: Catalogue): number | undefined {
  if (target.cloud === undefined) return undefined;
  const [key] = PLACE_KEYS[target.cloud];
  const scope = target[key] ?? catalogue.defaults[key];
  return scope === undefined ? undefined : cataloguePort(target, catalogue, { id: target.cloud, scope });
}

function sharedPort(target: CatalogueTarget, other: CatalogueTarget, port: number): CloudtunError {
  const message = `targets "${target.name}" and "${other.name}" both have local port ${port}`;
  return new CloudtunError('CT_CONFIG', message, collision(target, other, port));
}

function collision(target: CatalogueTarget, other: CatalogueTarget, port: number) {
  const toMove = target.port === undefined || other.port !== undefined ? target : other;
  return {
    details: [target, other].map(({ name, place }) => [name, `${place.file}:${place.line}:${place.column}`] as const),
    hint: `give "${toMove.name}" a port of its own, such as port: ${port === 65_535 ? port - 1 : port + 1}`,
  };
}

/**
 * The port that the catalogue fixes, else the stable one; undefined where its place is not known, and for a machine without a `hostPort`:
 * which of its ports is meant, its user says.
 */
function cataloguePort(target: CatalogueTarget, catalogue: Catalogue, at: PortPlace): number | undefined {
  if (target.port !== undefined) return target.port;
  const place = placeOf(target, catalogue, at);
  if (place === undefined) return undefined;
  if (target.kind === 'database') return stablePort({ ...place, kind: target.form, name: target.database });
  if (target.kind === 'machine') {
    const { instance: name, hostPort: port } = target;
    return port === undefined ? undefined : stablePort({ ...place, kind: 'machine', name, port });
  }
  return stablePort({
    ...place,
    kind: 'host',
    name: `${target.host}:${target.hostPort}`,
    via: target.via.map(hopText).join(','),
  });
}

/** A hop without its cloud, which the subject says. */
function hopText({ user, text, port }: HopName): string {
  return `${user === undefined ? '' : `${user}@`}${text}${port === undefined ? '' : `:${port}`}`;
}

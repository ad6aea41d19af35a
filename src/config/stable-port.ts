import { createHash } from 'node:crypto';
import { CloudtunError } from '../domain/errors.ts';
import type { Catalogue, CatalogueTarget } from './catalogue.ts';

/*
 * The local port that a target has every day on every machine of a team (spec section 4). What is hashed is what the user or the
 * catalogue says of the target, never what the cloud answers: a machine that is replaced tomorrow keeps its port, and collisions
 * inside a catalogue can be told without asking anybody. A profile counts only where the catalogue names it, since outside of it
 * profile names are personal.
 */

const FIRST_PORT = 20_000;
const PORT_COUNT = 10_000;

/** A target as the port rule sees it. */
export interface PortSubject {
  readonly kind: 'rds' | 'machine' | 'host';
  /** The TARGET text, or `host:port` for a host. */
  readonly name: string;
  /** The far port; left out where it follows from the name (a database). */
  readonly port?: number;
  readonly isReader?: boolean;
  /** The machine in between, when the user or the catalogue names it: two networks may have the same `admin.internal`. */
  readonly via?: string;
  readonly profile?: string;
  readonly region: string;
}

export function stablePort(subject: PortSubject): number {
  const canonical = JSON.stringify([
    'aws',
    subject.region,
    subject.profile ?? '',
    subject.kind,
    subject.name,
    subject.port ?? 0,
    subject.isReader === true,
    subject.kind === 'host' ? (subject.via ?? '') : '',
  ]);
  return FIRST_PORT + (createHash('sha256').update(canonical).digest().readUInt32BE(0) % PORT_COUNT);
}

/**
 * The local port of a catalogue target that reaches one far end, after making sure that no other target has it too. Two ports that
 * were both written by hand are the author's choice.
 *
 * @param region where targets are that name no region themselves
 * @throws CT_CONFIG naming both targets
 */
export function ownPort(
  target: Extract<CatalogueTarget, { kind: 'database' | 'host' }>,
  catalogue: Catalogue,
  region: string,
): number {
  const port = cataloguePort(target, region);
  for (const other of catalogue.targets.values()) {
    const isByHand = target.port !== undefined && other.port !== undefined;
    if (other.name === target.name || isByHand || portOfAny(other, region) !== port) continue;
    throw sharedPort(target, other, port);
  }
  return port;
}

function sharedPort(target: CatalogueTarget, other: CatalogueTarget, port: number): CloudtunError {
  const derived = target.port === undefined ? target : other;
  return new CloudtunError('CT_CONFIG', `targets "${target.name}" and "${other.name}" both have local port ${port}`, {
    details: [target, other].map(({ name, place }) => [name, `${place.file}:${place.line}:${place.column}`]),
    hint: `give "${derived.name}" a port of its own, such as port: ${port + 1}`,
  });
}

/** Undefined for a machine without a port of its own: which one is meant, its user says. */
function portOfAny(target: CatalogueTarget, region: string): number | undefined {
  return target.kind === 'database' || target.kind === 'host' ? cataloguePort(target, region) : target.port;
}

/** The port that the catalogue fixes, else the stable one. */
function cataloguePort(target: Extract<CatalogueTarget, { kind: 'database' | 'host' }>, region: string): number {
  if (target.port !== undefined) return target.port;
  const place = { region: target.region ?? region, ...(target.profile !== undefined && { profile: target.profile }) };
  if (target.kind === 'database') return stablePort({ kind: 'rds', name: target.rds, ...place });
  return stablePort({ kind: 'host', name: `${target.host}:${target.hostPort}`, via: target.via, ...place });
}

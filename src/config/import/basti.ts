import { parse } from 'yaml';
import type { ProposedTarget } from '../propose-targets.ts';
import type { Imported } from './imported.ts';

/*
 * `.basti.yaml`, `.yml` and `.json`: connections, each with a target of its own or the name of one. Basti finds its bastion by the
 * network of the target, and so do we for databases; a host of its own has no machine in it, so one must be named.
 */

type Fields = Readonly<Record<string, unknown>>;

/** @throws what the YAML parser throws; JSON is YAML */
export function importBasti(text: string): Imported {
  const file = asFields(parse(text, { maxAliasCount: 100 }));
  const named = asFields(file.targets);
  const targets: ProposedTarget[] = [];
  const leftOut: { name: string; reason: string }[] = [];
  const take = (name: string, target: unknown, localPort: unknown) => {
    const result = entryOf(asFields(target), typeof localPort === 'number' ? localPort : undefined);
    if (typeof result === 'string') leftOut.push({ name, reason: result });
    else targets.push({ name, entry: result });
  };
  const used = new Set<string>();
  for (const [name, connection] of Object.entries(asFields(file.connections))) {
    const { target, localPort } = asFields(connection);
    if (typeof target === 'string') used.add(target);
    take(name, typeof target === 'string' ? named[target] : target, localPort);
  }
  for (const [name, target] of Object.entries(named)) if (!used.has(name)) take(name, target, undefined);
  return { targets, defaults: {}, leftOut };
}

/** @returns why not, where it is none of ours */
function entryOf(target: Fields, port: number | undefined): Fields | string {
  const place = {
    ...(typeof target.awsProfile === 'string' && { profile: target.awsProfile }),
    ...(typeof target.awsRegion === 'string' && { region: target.awsRegion }),
  };
  const database = [target.rdsInstance, target.rdsCluster, target.dbInstance, target.dbCluster].find(isText);
  if (database !== undefined) return { rds: database, ...place, ...(port !== undefined && { port }) };
  if (isText(target.customTargetHost) && typeof target.customTargetPort === 'number') {
    return `it is ${target.customTargetHost}:${target.customTargetPort}, and which machine reaches it is not said: add a target with host, hostPort and via`;
  }
  const kind = Object.keys(target).find((key) => /^elasticache/i.test(key));
  return kind === undefined
    ? 'it names no database'
    : `${kind} is not opened by name: add a target with host, hostPort and via`;
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';

function asFields(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

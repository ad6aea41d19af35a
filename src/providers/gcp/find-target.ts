import { CloudtunError } from '../../domain/errors.ts';
import {
  type CloudTarget,
  type DatabaseTarget,
  type HostTarget,
  type MachineTarget,
  type NodeTarget,
  type Route,
  targetLabel,
} from '../../domain/target.ts';
import type { FindDatabaseOptions, FindMachineOptions, ListedTarget, TargetFinder, TargetQuery } from '../provider.ts';
import { chosenWay, discoverWay } from './choose-way.ts';
import { findDatabase } from './find-database.ts';
import { findMachine } from './find-machine.ts';
import type { GcpApi } from './gcp-api.ts';
import { listTargets } from './list-targets.ts';

type RouteOptions = Parameters<TargetFinder['routeTo']>[2];

const ITSELF = ['localhost', '127.0.0.1', '::1'];

/** The targets of some Google Cloud projects. */
export class GcpTargetFinder implements TargetFinder {
  readonly #api: GcpApi;

  constructor(api: GcpApi) {
    this.#api = api;
  }

  list(query: TargetQuery, signal: AbortSignal): Promise<readonly ListedTarget[]> {
    return listTargets(this.#api, query, signal);
  }

  findMachine(text: string, options: FindMachineOptions, signal: AbortSignal): Promise<NodeTarget> {
    return findMachine(this.#api, text, options, signal);
  }

  findDatabase(text: string, options: FindDatabaseOptions, signal: AbortSignal): Promise<DatabaseTarget> {
    return findDatabase(this.#api, text, options, signal);
  }

  async routeTo(target: CloudTarget, port: number, options: RouteOptions, signal: AbortSignal): Promise<Route> {
    switch (target.kind) {
      case 'database':
        return this.#toDatabase(target, port, options, signal);
      case 'machine':
        return toMachine(target, port, options);
      case 'host':
        return toHost(target, port, options);
    }
  }

  async #toDatabase(target: DatabaseTarget, port: number, options: RouteOptions, signal: AbortSignal): Promise<Route> {
    const host = options.host ?? target.endpoint.host;
    const way =
      options.via === undefined
        ? await discoverWay(this.#api, target, host, port, signal)
        : await chosenWay(this.#api, target, host, port, options.via, signal);
    return { provider: 'gcp', target, ...way };
  }
}

/** Identity-Aware Proxy connects to the machine's network interface and to nothing behind it. */
function toMachine(target: MachineTarget, port: number, { via, host }: RouteOptions): Route {
  if (via !== undefined) throw noHop(`${targetLabel(target)} is reached directly on Google Cloud`, 'leave out --via');
  if (host !== undefined && !ITSELF.includes(host) && host !== target.privateIp && host !== target.name) {
    throw noHop(
      `${targetLabel(target)} cannot forward to ${host}: Identity-Aware Proxy reaches ports of a machine and nothing behind it`,
      `name the host in a destination group instead: cloudtun forward ${host}@REGION/NETWORK/GROUP -L ${port}`,
    );
  }
  const isLoopback = host !== undefined && ITSELF.includes(host);
  return {
    provider: 'gcp',
    target,
    node: target,
    to: { port },
    reasons: [
      'the target itself',
      ...(isLoopback ? [`reached at its interface ${target.networkInterface ?? 'nic0'}, not at its loopback`] : []),
    ],
    rejected: [],
  };
}

function toHost(target: HostTarget, port: number, { via, host }: RouteOptions): Route {
  if (via !== undefined) throw noHop(`${target.host} is reached through its destination group`, 'leave out --via');
  if (host !== undefined && host !== target.host) {
    const place = target.id.slice(target.id.lastIndexOf('@'));
    throw noHop(
      `${target.host} cannot forward to ${host}`,
      `name that host as the target: cloudtun forward ${host}${place} -L ${port}`,
    );
  }
  const group = target.group === undefined ? 'a destination group' : `the destination group ${target.group}`;
  return {
    provider: 'gcp',
    target,
    node: target,
    to: { port },
    reasons: [`through ${group}, from network ${target.networkId} in ${target.region}`],
    rejected: [],
  };
}

const noHop = (sentence: string, hint: string) => new CloudtunError('CT_NO_BASTION', sentence, { hint });

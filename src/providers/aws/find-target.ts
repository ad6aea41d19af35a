import { CloudtunError } from '../../domain/errors.ts';
import {
  type CloudTarget,
  type DatabaseTarget,
  type MachineTarget,
  type Route,
  targetLabel,
} from '../../domain/target.ts';
import type { Log } from '../../runtime/log.ts';
import type { FindDatabaseOptions, FindMachineOptions, ListedTarget, TargetFinder, TargetQuery } from '../provider.ts';
import { agentObjection } from './agent-version.ts';
import type { AwsApi } from './aws-api.ts';
import { agentTooOld, chooseBastion, judgeChosen } from './choose-bastion.ts';
import { findDatabase } from './find-database.ts';
import { findMachine } from './find-machine.ts';
import { listTargets } from './list-targets.ts';

type RouteOptions = Parameters<TargetFinder['routeTo']>[2];

/** The targets of one AWS account and region. */
export class AwsTargetFinder implements TargetFinder {
  readonly #api: AwsApi;
  readonly #log: Log;

  constructor(api: AwsApi, log: Log) {
    this.#api = api;
    this.#log = log;
  }

  list(query: TargetQuery, signal: AbortSignal): Promise<readonly ListedTarget[]> {
    return listTargets(this.#api, query, this.#log, signal);
  }

  findMachine(text: string, options: FindMachineOptions, signal: AbortSignal): Promise<MachineTarget> {
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
        return this.#toMachine(target, port, options, signal);
      case 'host':
        throw new CloudtunError('CT_INTERNAL', `${target.id} is no target of AWS`);
    }
  }

  async #toDatabase(target: DatabaseTarget, port: number, options: RouteOptions, signal: AbortSignal): Promise<Route> {
    const choice =
      options.via === undefined
        ? await chooseBastion(this.#api, target, port, signal)
        : await judgeChosen(this.#api, await this.findMachine(options.via, {}, signal), target, port, signal);
    return { provider: 'aws', target, to: { host: options.host ?? target.endpoint.host, port }, ...choice };
  }

  /** A machine's own agent dials, unless a person wants another machine to dial its private address. */
  async #toMachine(target: MachineTarget, port: number, options: RouteOptions, signal: AbortSignal): Promise<Route> {
    const node = options.via === undefined ? target : await this.findMachine(options.via, {}, signal);
    const host = options.host ?? (node === target ? undefined : target.privateIp);
    if (node !== target && host === undefined) {
      throw new CloudtunError('CT_TARGET_NOT_FOUND', `the private address of ${targetLabel(target)} is not known`, {
        hint: `leave out --via, so that its own agent dials, or name the address: cloudtun forward ${node.id} -L port:address:port`,
      });
    }
    const objection = agentObjection(node.agentVersion, host !== undefined);
    if (objection !== undefined) throw agentTooOld(node, objection);
    return {
      provider: 'aws',
      target,
      node,
      to: { ...(host === undefined ? {} : { host }), port },
      reasons: [node === target ? 'the target itself' : 'chosen by --via'],
      rejected: [],
    };
  }
}

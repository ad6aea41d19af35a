import { CloudtunError, type ErrorDetail } from '../../domain/errors.ts';
import { nearestNames } from '../../domain/nearest.ts';
import { type MachineTarget, targetLabel } from '../../domain/target.ts';
import type { FindMachineOptions } from '../provider.ts';
import type { AwsApi } from './aws-api.ts';
import {
  describeMachine,
  describeMachines,
  literalFilterValue,
  type Machine,
  machineOfNode,
  withNode,
} from './machines.ts';
import { allNodes, type ManagedNode, nodesById, offlineRemark } from './managed-nodes.ts';
import { type MachineName, parseMachineName } from './target-name.ts';

const isDenied = (error: unknown) => error instanceof CloudtunError && error.code === 'CT_DENIED';

/** How many candidates an error lists. */
const LISTED = 10;

/**
 * Resolves a TARGET that is a machine. An id asks Systems Manager alone, and not even that must be allowed: StartSession judges in
 * the end. Any other name asks EC2, and Systems Manager for which of the candidates are connected.
 *
 * @throws CT_TARGET_NOT_FOUND, CT_TARGET_AMBIGUOUS, CT_TARGET_STOPPED, CT_TARGET_OFFLINE, CT_USAGE, CT_DENIED …
 */
export async function findMachine(
  api: AwsApi,
  text: string,
  options: FindMachineOptions,
  signal: AbortSignal,
): Promise<MachineTarget> {
  const name = parseMachineName(text);
  if (name.by === 'id' && options.asNamed === true && options.mustExist !== true) return unasked(name.id);
  const machine = name.by === 'id' ? await byId(api, name.id, signal) : await bySearch(api, text, name, signal);
  if (options.mustBeOnline !== false) requireOnline(machine);
  return machine.target;
}

async function byId(api: AwsApi, id: string, signal: AbortSignal): Promise<Machine> {
  let node: ManagedNode | undefined;
  try {
    node = (await nodesById(api, [id], signal)).get(id);
  } catch (error) {
    if (!isDenied(error)) throw error;
    return { target: unasked(id), tags: {}, ipv6: [], launchedAt: 0, node: undefined };
  }
  if (node?.online) return machineOfNode(node);
  if (id.startsWith('mi-')) {
    if (node === undefined) throw await notFound(api, id, signal);
    return machineOfNode(node);
  }
  // Not connected. Whether it exists, and whether it runs, only EC2 can say; if it may not be asked, "offline" is all we know.
  try {
    const machine = await describeMachine(api, id, signal);
    if (machine === undefined) throw await notFound(api, id, signal);
    return withNode(machine, node);
  } catch (error) {
    if (!isDenied(error)) throw error;
    return machineOfNode(node ?? { id, online: false });
  }
}

function unasked(id: string): MachineTarget {
  return { kind: 'machine', provider: 'aws', id, state: 'other' };
}

async function bySearch(api: AwsApi, text: string, name: MachineName, signal: AbortSignal): Promise<Machine> {
  let machines = await search(api, name, signal);
  if (machines.length === 0) machines = await searchHybrid(api, name, signal);
  if (machines.length === 0) throw await notFound(api, text, signal);
  machines.sort((a, b) => b.launchedAt - a.launchedAt || (a.target.id < b.target.id ? -1 : 1));
  const usable = machines.filter((machine) => machine.target.state === 'running' && machine.target.online !== false);
  // These name a role that any member can play: the newest healthy one does.
  if (name.by === 'tag' || name.by === 'asg') return usable[0] ?? machines[0]!;
  const candidates = usable.length > 0 ? usable : machines;
  if (candidates.length === 1) return candidates[0]!;
  throw new CloudtunError(
    'CT_TARGET_AMBIGUOUS',
    `${candidates.length} machines are called "${text}" in ${api.settings.label}`,
    {
      details: candidates.slice(0, LISTED).map(candidateLine),
      hint: ['use one of the ids instead', 'see all: cloudtun targets --kind machine'],
    },
  );
}

async function search(api: AwsApi, name: MachineName, signal: AbortSignal): Promise<Machine[]> {
  const filters = filtersFor(name);
  const answers = await Promise.all(filters.map((filter) => describeMachines(api, [filter], signal)));
  const unique = new Map(answers.flat().map((machine) => [machine.target.id, machine]));
  const machines = [...unique.values()];
  if (machines.length === 0) return machines;
  try {
    const nodes = await nodesById(api, [...unique.keys()], signal);
    return machines.map((machine) => withNode(machine, nodes.get(machine.target.id)));
  } catch (error) {
    if (!isDenied(error)) throw error;
    return machines;
  }
}

function filtersFor(name: MachineName): { Name: string; Values: string[] }[] {
  const filter = (key: string, value: string) => ({ Name: key, Values: [literalFilterValue(value)] });
  switch (name.by) {
    case 'id':
      return [filter('instance-id', name.id)];
    case 'tag':
      return [filter(`tag:${name.key}`, name.value)];
    case 'asg':
      return [filter('tag:aws:autoscaling:groupName', name.group)];
    case 'ip':
      return name.ip.includes(':')
        ? [filter('network-interface.ipv6-addresses.ipv6-address', name.ip)]
        : [filter('network-interface.addresses.private-ip-address', name.ip)];
    case 'dns':
      return [filter('private-dns-name', name.name.replace(/\.$/, '')), filter('tag:Name', name.name)];
    case 'name':
      return [filter('tag:Name', name.name)];
  }
}

/** Machines outside AWS are known to Systems Manager only. */
async function searchHybrid(api: AwsApi, name: MachineName, signal: AbortSignal): Promise<Machine[]> {
  const wanted = name.by === 'ip' ? name.ip : name.by === 'name' || name.by === 'dns' ? name.name : undefined;
  if (wanted === undefined) return [];
  const nodes = await allNodes(api, { hybridOnly: true }, signal).catch((error: unknown) => {
    if (isDenied(error)) return [];
    throw error;
  });
  return nodes.filter((node) => [node.name, node.computerName, node.ip].includes(wanted)).map(machineOfNode);
}

function requireOnline(machine: Machine): void {
  const { target } = machine;
  const label = target.name === undefined ? target.id : `${target.name} (${target.id})`;
  if (target.state === 'stopped') {
    throw new CloudtunError('CT_TARGET_STOPPED', `${label} is stopped`, {
      hint: ['start it and wait a minute for its agent', 'see all: cloudtun targets --kind machine'],
    });
  }
  if (target.online === false) {
    throw new CloudtunError('CT_TARGET_OFFLINE', `${label} is not connected to Session Manager`, {
      details: [['agent', offlineRemark(machine.node)]],
      hint: [
        'check that its SSM agent runs and reaches the ssm and ssmmessages endpoints, and that its instance profile allows it',
        'see all: cloudtun targets --kind machine',
      ],
    });
  }
}

function candidateLine({ target }: Machine): ErrorDetail {
  const agent =
    target.online === undefined ? undefined : target.online ? `agent ${target.agentVersion ?? '?'}` : 'agent offline';
  return [target.id, [target.name, target.privateIp, target.zone, target.state, agent].filter(Boolean).join(', ')];
}

/** CT_TARGET_NOT_FOUND with the nearest names, if they may be listed. */
async function notFound(api: AwsApi, text: string, signal: AbortSignal): Promise<CloudtunError> {
  const [machines, hybrids] = await Promise.all([
    describeMachines(api, [], signal).catch(() => []),
    allNodes(api, { hybridOnly: true }, signal).catch(() => []),
  ]);
  signal.throwIfAborted();
  const targets = [...machines, ...hybrids.map(machineOfNode)].map((machine) => machine.target);
  const near = nearestNames(
    text.replace(/^aws:/, ''),
    targets.flatMap((target) => [targetLabel(target), target.id]),
  );
  return new CloudtunError('CT_TARGET_NOT_FOUND', `no machine named "${text}" in ${api.settings.label}`, {
    hint: [
      ...(near.length > 0 ? [`did you mean: ${near.join(', ')}`] : []),
      'see all: cloudtun targets --kind machine',
    ],
  });
}

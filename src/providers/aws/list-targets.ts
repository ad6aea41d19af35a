import { CloudtunError } from '../../domain/errors.ts';
import { type DatabaseTarget, type MachineTarget, targetLabel } from '../../domain/target.ts';
import type { Log } from '../../runtime/log.ts';
import type { ListedTarget, TargetQuery } from '../provider.ts';
import { agentObjection } from './agent-version.ts';
import type { AwsApi } from './aws-api.ts';
import { judgeCandidates, rankCandidates } from './choose-bastion.ts';
import { databasesOf } from './databases.ts';
import { describeMachines, type Machine, machineOfNode, withNode } from './machines.ts';
import { allNodes, type ManagedNode, offlineRemark } from './managed-nodes.ts';
import { type NetworkPicture, readNetworks } from './network-picture.ts';
import { describeDatabases } from './rds-listing.ts';

/** A list, or the denial instead of it. */
type Seen<Item> = { readonly items: readonly Item[]; readonly denial?: CloudtunError };

async function seen<Item>(reading: Promise<Item[]>): Promise<Seen<Item>> {
  try {
    return { items: await reading };
  } catch (error) {
    if (error instanceof CloudtunError && error.code === 'CT_DENIED') return { items: [], denial: error };
    throw error;
  }
}

/**
 * Everything that may be seen, machines first, by name. What a denial hides is left out with a warning, unless it hides all that was
 * asked for.
 *
 * @throws CT_DENIED when nothing of what was asked for may be seen
 */
export async function listTargets(
  api: AwsApi,
  query: TargetQuery,
  log: Log,
  signal: AbortSignal,
): Promise<ListedTarget[]> {
  const wantsDatabases = query.kind !== 'machine';
  const [instances, nodes, inventory] = await Promise.all([
    seen(describeMachines(api, [], signal)),
    seen(allNodes(api, {}, signal)),
    wantsDatabases ? describeDatabases(api, undefined, signal) : undefined,
  ]);
  const denials = [instances.denial, nodes.denial, ...(inventory?.denials ?? [])].filter(
    (denial) => denial !== undefined,
  );
  const machines = joinMachines(instances, nodes);
  const databases = inventory === undefined ? [] : databasesOf(inventory);
  const wanted = [...(query.kind === 'database' ? [] : machines), ...databases];
  if (wanted.length === 0) {
    const reason = inventory !== undefined && query.kind === 'database' ? inventory.denials[0] : denials[0];
    if (reason !== undefined) throw reason;
  }
  for (const denial of denials) log.warn(`the list is not complete: ${denial.message}`);

  const networkIds = [...new Set(databases.flatMap(({ target }) => target.networkId ?? []))];
  const picture = networkIds.length > 0 ? await readNetworks(api, networkIds, signal) : undefined;
  const matches = matcher(query.text);
  const listedMachines =
    query.kind === 'database' ? [] : machines.filter((machine) => matches(wordsOfMachine(machine)));
  const listedDatabases = databases.filter(({ target, nameTag }) =>
    matches([target.id, nameTag, target.endpoint.host]),
  );
  const byName = (a: ListedTarget, b: ListedTarget) => (targetLabel(a.target) < targetLabel(b.target) ? -1 : 1);
  return [
    ...listedMachines.map((machine) => listedMachine(machine, nodes.denial !== undefined)).sort(byName),
    ...listedDatabases.map(({ target }) => listedDatabase(target, machines, picture)).sort(byName),
  ];
}

function joinMachines(instances: Seen<Machine>, nodes: Seen<ManagedNode>): Machine[] {
  const known = new Map(nodes.items.map((node) => [node.id, node]));
  const joined = instances.items.map((machine) => {
    const node = known.get(machine.target.id);
    known.delete(machine.target.id);
    return withNode(machine, node, nodes.denial === undefined);
  });
  // Hybrid nodes, and EC2 instances where EC2 may not be asked. A terminated instance lingers here without being connected.
  const rest = [...known.values()].filter((node) => node.online || node.id.startsWith('mi-'));
  return [...joined, ...rest.map(machineOfNode)];
}

function matcher(text: string | undefined): (words: readonly (string | undefined)[]) => boolean {
  const wanted = text?.toLowerCase() ?? '';
  return (words) => words.some((word) => word?.toLowerCase().includes(wanted));
}

function wordsOfMachine({ target, tags }: Machine): (string | undefined)[] {
  const tagWords = Object.entries(tags).map(([key, value]) => `${key}=${value}`);
  return [target.id, target.name, target.privateIp, target.privateDns, ...tagWords];
}

function listedMachine({ target, node }: Machine, isAgentHidden: boolean): ListedTarget {
  if (target.state === 'stopped') return { target, reachable: false, remark: 'stopped' };
  if (isAgentHidden)
    return { target, reachable: false, remark: 'agent not known: ssm:DescribeInstanceInformation is denied' };
  if (!target.online) return { target, reachable: false, remark: offlineRemark(node) };
  const objection = agentObjection(target.agentVersion, false);
  return {
    target,
    reachable: objection === undefined,
    remark: objection ?? `agent ${target.agentVersion ?? 'of unknown version'}`,
  };
}

function listedDatabase(
  target: DatabaseTarget,
  machines: readonly Machine[],
  picture: NetworkPicture | undefined,
): ListedTarget {
  if (!target.available) return { target, reachable: false, remark: target.status };
  const { networkId } = target;
  if (networkId === undefined || picture === undefined)
    return { target, reachable: false, remark: 'its network is not known' };
  const neighbours = machines.filter((machine) => machine.target.networkId === networkId);
  const fit = judgeCandidates(neighbours, target, target.endpoint.port, picture).filter(
    ({ objection, machine }) => objection === undefined && machine.target.online,
  );
  const best = rankCandidates(fit, target)[0];
  if (best === undefined) return { target, reachable: false, remark: `no bastion in ${networkId}` };
  return { target, reachable: true, remark: viaRemark(best.machine.target, best.reach?.openness === 'open') };
}

const viaRemark = (node: MachineTarget, isCertain: boolean) => `${isCertain ? '' : 'perhaps '}via ${targetLabel(node)}`;

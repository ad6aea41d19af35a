import { CloudtunError } from '../../domain/errors.ts';
import { type DatabaseTarget, targetLabel } from '../../domain/target.ts';
import type { ListedTarget, TargetQuery } from '../provider.ts';
import { type Database, listDatabases } from './databases.ts';
import { type DestinationGroup, entryFor, listDestinationGroups } from './destination-groups.ts';
import { type FirewallRule, judgeAdmission, listFirewallRules } from './firewall.ts';
import type { GcpApi } from './gcp-api.ts';
import { isDenial } from './gcp-errors.ts';
import { listMachines, type Machine } from './machines.ts';

/** A list, or the denial instead of it. */
type Seen<Item> = { readonly items: readonly Item[]; readonly denial?: CloudtunError };

async function seen<Item>(reading: Promise<Item[]>): Promise<Seen<Item>> {
  try {
    return { items: await reading };
  } catch (error) {
    if (error instanceof CloudtunError && isDenial(error)) return { items: [], denial: error };
    throw error;
  }
}

interface Inventory {
  readonly machines: Seen<Machine>;
  readonly databases: Seen<Database>;
  readonly rules: Seen<FirewallRule>;
}

/**
 * Everything that may be seen in the projects, machines first, by name. What a denial hides is left out with a warning, unless it
 * hides all that was asked for; firewall rules and destination groups that may not be listed make remarks less certain.
 *
 * @throws CT_DENIED, CT_API_DISABLED when nothing of what was asked for may be seen; CT_NO_PROJECT …
 */
export async function listTargets(api: GcpApi, query: TargetQuery, signal: AbortSignal): Promise<ListedTarget[]> {
  if (query.kind === 'host') return [];
  const projects = await api.projects(signal);
  const inventories = await Promise.all(projects.map((project) => readProject(api, project, query, signal)));
  const machines = inventories.flatMap((each) => each.machines.items);
  const databases = inventories.flatMap((each) => each.databases.items);
  const denials = inventories.flatMap((each) =>
    [each.machines.denial, each.databases.denial].filter((d) => d !== undefined),
  );
  if (machines.length === 0 && databases.length === 0 && denials[0] !== undefined) throw denials[0];
  for (const denial of denials) api.warn(`the list is not complete: ${denial.message}`);

  const rules = new Map(projects.map((project, index) => [project, inventories[index]!.rules] as const));
  const matches = matcher(query.text);
  const listedMachines = machines.filter((machine) => matches(wordsOfMachine(machine)));
  const listedDatabases = databases.filter((database) => matches(wordsOfDatabase(database)));
  const groups = await groupsFor(api, listedDatabases, signal);
  const byName = (a: ListedTarget, b: ListedTarget) => (targetLabel(a.target) < targetLabel(b.target) ? -1 : 1);
  return [
    ...listedMachines.map((machine) => listedMachine(machine, rules)).sort(byName),
    ...listedDatabases.map((database) => listedDatabase(database, groups)).sort(byName),
  ];
}

async function readProject(
  api: GcpApi,
  project: string,
  { kind }: TargetQuery,
  signal: AbortSignal,
): Promise<Inventory> {
  const nothing = { items: [] };
  const [machines, databases, rules] = await Promise.all([
    kind === 'database' ? nothing : seen(listMachines(api, project, undefined, signal)),
    kind === 'machine' ? nothing : seen(listDatabases(api, project, signal)),
    kind === 'database' ? nothing : seen(listFirewallRules(api, project, signal)),
  ]);
  return { machines, databases, rules };
}

function matcher(text: string | undefined): (words: readonly (string | undefined)[]) => boolean {
  const wanted = text?.toLowerCase() ?? '';
  return (words) => words.some((word) => word?.toLowerCase().includes(wanted));
}

const labelWords = (labels: Readonly<Record<string, string>>) =>
  Object.entries(labels).map(([key, value]) => `${key}=${value}`);

const wordsOfMachine = ({ target, labels, interfaces }: Machine) => [
  target.id,
  ...interfaces.flatMap(({ addresses }) => addresses),
  ...labelWords(labels),
];

const wordsOfDatabase = ({ target, labels }: Database) => [target.id, target.endpoint.host, ...labelWords(labels)];

function listedMachine(machine: Machine, rules: ReadonlyMap<string, Seen<FirewallRule>>): ListedTarget {
  const { target, status } = machine;
  if (target.state === 'stopped') return { target, reachable: false, remark: `stopped (${status})` };
  if (target.state === 'other') return { target, reachable: false, remark: `not running (${status})` };
  if (target.privateIp === undefined) return { target, reachable: false, remark: 'no internal address' };
  // With a shared network the rules are in the host project, which may not be among those that were read.
  const networkProject = /^projects\/([^/]+)\//.exec(target.networkId ?? '')?.[1] ?? target.project ?? '';
  const known = rules.get(networkProject);
  if (known === undefined || known.denial !== undefined) {
    return { target, reachable: true, remark: 'running; its firewall rules may not be seen' };
  }
  const admission = judgeAdmission(machine, undefined, known.items);
  if (admission.is === 'closed') {
    return { target, reachable: false, remark: 'no firewall rule lets Identity-Aware Proxy in' };
  }
  const rule = admission.rule === undefined ? '' : ` by ${admission.rule}`;
  return { target, reachable: true, remark: `let in${rule}${admission.is === 'partly' ? ' in part' : ''}` };
}

const groupKey = (project: string, region: string) => `${project}/${region}`;

async function groupsFor(
  api: GcpApi,
  databases: readonly Database[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Seen<DestinationGroup>>> {
  const places = new Map(
    databases
      .filter(({ target, isPrivate }) => target.available && isPrivate)
      .map(({ target, region }) => [groupKey(target.project ?? '', region), { project: target.project ?? '', region }]),
  );
  const lists = await Promise.all(
    [...places].map(async ([key, { project, region }]) => {
      const groups = await seen(listDestinationGroups(api, project, region, signal));
      return [key, groups] as const;
    }),
  );
  return new Map(lists);
}

function listedDatabase(
  { target, region, isPrivate }: Database,
  groups: ReadonlyMap<string, Seen<DestinationGroup>>,
): ListedTarget {
  const unreachable = (remark: string): ListedTarget => ({ target, reachable: false, remark });
  if (!target.available) return unreachable(target.status);
  if (!isPrivate) return unreachable('no private address');
  const known = groups.get(groupKey(target.project ?? '', region));
  if (known?.denial !== undefined) return unreachable('destination groups may not be seen');
  const group = known?.items.find((each) => entryFor(each, hostOf(target)) !== undefined);
  return group === undefined
    ? unreachable(`no destination group in ${region} holds ${hostOf(target)}`)
    : { target, reachable: true, remark: `via ${group.name}` };
}

const hostOf = (target: DatabaseTarget) => target.endpoint.host;

import { CloudtunError, type ErrorDetail } from '../../domain/errors.ts';
import { type DatabaseTarget, type MachineTarget, type Route, targetLabel } from '../../domain/target.ts';
import { agentAbilities, agentObjection, compareVersions } from './agent-version.ts';
import type { AwsApi } from './aws-api.ts';
import { describeMachines, type Machine, withNode } from './machines.ts';
import { allNodes, nodesById, offlineRemark } from './managed-nodes.ts';
import { type NetworkPicture, readNetworks } from './network-picture.ts';
import { judgeReach, type Reachability } from './reachability.ts';

/** One machine of the database's network, with what was found out about it. */
interface Candidate {
  readonly machine: Machine;
  /** Why it cannot serve at all; undefined: it may. */
  readonly objection: string | undefined;
  readonly reach: Reachability | undefined;
}

export interface Choice {
  readonly node: MachineTarget;
  readonly reasons: readonly string[];
  readonly rejected: Route['rejected'];
}

/** How many machines an error or an explanation lists. */
const LISTED = 12;
/** Names by which teams mark the machines that are there to be passed through. */
const LOOKS_LIKE_BASTION = /bastion|jump|tunnel|gateway/i;

const byText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** Judges each machine as a way to the database: its state and agent first, then the rules of the network. */
export function judgeCandidates(
  machines: readonly Machine[],
  database: DatabaseTarget,
  port: number,
  picture: NetworkPicture,
): Candidate[] {
  return machines.map((machine) => {
    const { target, node } = machine;
    if (target.state === 'stopped') return { machine, objection: 'stopped', reach: undefined };
    if (target.online === false) return { machine, objection: offlineRemark(node), reach: undefined };
    const tooOld = agentObjection(target.agentVersion, true);
    if (tooOld !== undefined) return { machine, objection: tooOld, reach: undefined };
    const reach = judgeReach({ target, ipv6: machine.ipv6 }, database, port, picture);
    return { machine, objection: reach.openness === 'closed' ? reach.reasons.join('; ') : undefined, reach };
  });
}

/**
 * Best first: what the rules let through before what they leave open; machines named as bastions before those that have other work
 * (people may seldom open sessions on those); the database's subnet, then its zone; the newest agent; the name; the id.
 */
export function rankCandidates(candidates: readonly Candidate[], database: DatabaseTarget): Candidate[] {
  const worth = ({ machine, reach }: Candidate) => [
    reach?.openness === 'open' ? 0 : 1,
    LOOKS_LIKE_BASTION.test([machine.target.name, machine.tags.role, machine.tags.Role].join(' ')) ? 0 : 1,
    database.subnetIds.includes(machine.target.subnetId ?? '') ? 0 : 1,
    database.zone !== undefined && machine.target.zone === database.zone ? 0 : 1,
  ];
  return [...candidates].sort((a, b) => {
    const [left, right] = [worth(a), worth(b)];
    const index = left.findIndex((value, at) => value !== right[at]);
    if (index >= 0) return left[index]! - right[index]!;
    const [x, y] = [a.machine.target, b.machine.target];
    return (
      compareVersions(y.agentVersion ?? '0', x.agentVersion ?? '0') ||
      byText(targetLabel(x), targetLabel(y)) ||
      byText(x.id, y.id)
    );
  });
}

/**
 * Looks for a machine that is online, in the database's network, and let through to it.
 *
 * @throws CT_NO_BASTION with one detail for each machine that was looked at; CT_DENIED …
 */
export async function chooseBastion(
  api: AwsApi,
  database: DatabaseTarget,
  port: number,
  signal: AbortSignal,
): Promise<Choice> {
  const { networkId } = database;
  if (networkId === undefined) throw noBastion(database, 'AWS does not say which network it is in', []);
  const [machines, nodes, picture] = await Promise.all([
    describeMachines(api, [{ Name: 'vpc-id', Values: [networkId] }], signal),
    allNodes(api, { onlineOnly: true }, signal),
    readNetworks(api, [networkId], signal),
  ]);
  const online = new Map(nodes.map((node) => [node.id, node]));
  machines.sort((a, b) => byText(targetLabel(a.target), targetLabel(b.target)) || byText(a.target.id, b.target.id));
  const connected = machines.filter((machine) => online.has(machine.target.id));
  const judged = judgeCandidates(
    connected.map((machine) => withNode(machine, online.get(machine.target.id))),
    database,
    port,
    picture,
  );
  const [best, ...others] = rankCandidates(
    judged.filter((candidate) => candidate.objection === undefined),
    database,
  );
  const unfit = judged.filter((candidate) => candidate.objection !== undefined);
  if (best === undefined) {
    const idle = await explainIdle(
      api,
      machines.filter((machine) => !online.has(machine.target.id)),
      signal,
    );
    throw noBastion(database, `no machine of ${networkId} that is online can reach it on port ${port}`, [
      ...unfit,
      ...idle,
    ]);
  }
  return {
    node: best.machine.target,
    reasons: reasonsFor(best, database),
    rejected: [
      ...unfit.map((candidate) => ({ node: candidate.machine.target, reason: candidate.objection! })),
      ...others.map((candidate) => ({
        node: candidate.machine.target,
        reason: secondChoice(candidate, best, database),
      })),
    ].slice(0, LISTED),
  };
}

/** Machines that are not connected are no candidates, but when there is none a person wants to know why not this one. */
async function explainIdle(api: AwsApi, machines: readonly Machine[], signal: AbortSignal): Promise<Candidate[]> {
  const some = machines.slice(0, LISTED);
  const nodes = await nodesById(
    api,
    some.map((machine) => machine.target.id),
    signal,
  ).catch(() => new Map<string, never>());
  signal.throwIfAborted();
  return some.map((machine) => ({
    machine,
    objection: machine.target.state === 'stopped' ? 'stopped' : offlineRemark(nodes.get(machine.target.id)),
    reach: undefined,
  }));
}

function reasonsFor({ machine, reach }: Candidate, database: DatabaseTarget): string[] {
  const { target } = machine;
  const doubt = reach?.openness === 'unknown' ? ['not certain that it can reach the database'] : [];
  return [
    `online in ${target.networkId}, the network of ${database.id}`,
    ...(database.zone !== undefined && target.zone === database.zone ? [`in the same zone, ${target.zone}`] : []),
    ...doubt,
    ...(reach?.reasons ?? []),
    ...agentReasons(target),
  ];
}

function agentReasons(target: MachineTarget): string[] {
  if (target.agentVersion === undefined) return [];
  const isBasic = !agentAbilities(target.agentVersion).multiplexes;
  return [`agent ${target.agentVersion}${isBasic ? ': one connection at a time' : ''}`];
}

function secondChoice(candidate: Candidate, best: Candidate, database: DatabaseTarget): string {
  if (candidate.reach?.openness !== best.reach?.openness) return `less certain: ${candidate.reach?.reasons.join('; ')}`;
  const isFar = candidate.machine.target.zone !== database.zone && best.machine.target.zone === database.zone;
  return `would do as well${isFar ? `, but is in ${candidate.machine.target.zone}` : ''}; ${targetLabel(best.machine.target)} ranks first`;
}

function noBastion(database: DatabaseTarget, why: string, looked: readonly Candidate[]): CloudtunError {
  const details = looked
    .slice(0, LISTED)
    .map(
      ({ machine, objection }): ErrorDetail => [
        targetLabel(machine.target),
        `${machine.target.id}: ${objection ?? ''}`,
      ],
    );
  const more = looked.length > LISTED ? [['…', `and ${looked.length - LISTED} more`] as const] : [];
  return new CloudtunError('CT_NO_BASTION', `no way to ${database.id}: ${why}`, {
    details: [...details, ...more],
    hint: [
      'open a way (agent, instance profile, security group), or name a machine of another network that reaches it: --via TARGET',
      'see all: cloudtun targets --kind machine',
    ],
  });
}

/** A way through a machine that a person chose: what looks closed is said, and tried. */
export async function judgeChosen(
  api: AwsApi,
  node: MachineTarget,
  database: DatabaseTarget,
  port: number,
  signal: AbortSignal,
): Promise<Choice> {
  const reasons = ['chosen by --via', ...agentReasons(node)];
  const objection = agentObjection(node.agentVersion, true);
  if (objection !== undefined) throw agentTooOld(node, objection);
  const { known, doubts } = await lookAt(api, node, database, port, signal).catch((error: unknown) => {
    if (!(error instanceof CloudtunError) || error.code !== 'CT_DENIED') throw error;
    return { known: undefined, doubts: ['whether it can reach the database could not be looked up'] };
  });
  return { node: { ...known, ...node }, reasons: [...reasons, ...doubts], rejected: [] };
}

async function lookAt(
  api: AwsApi,
  node: MachineTarget,
  database: DatabaseTarget,
  port: number,
  signal: AbortSignal,
): Promise<{ readonly known: MachineTarget | undefined; readonly doubts: readonly string[] }> {
  if (node.id.startsWith('mi-')) {
    return { known: undefined, doubts: ['outside AWS: whether it can reach the database is not known here'] };
  }
  const machine = (await describeMachines(api, [], signal, [node.id]))[0];
  const known = machine?.target;
  if (machine === undefined || known === undefined || database.networkId === undefined) return { known, doubts: [] };
  if (known.networkId !== database.networkId) {
    return { known, doubts: [`in ${known.networkId}, not in ${database.networkId}: the networks must be connected`] };
  }
  const picture = await readNetworks(api, [database.networkId], signal);
  const { openness, reasons } = judgeReach({ target: known, ipv6: machine.ipv6 }, database, port, picture);
  if (openness === 'open') return { known, doubts: reasons };
  const word = openness === 'closed' ? 'warning: it looks closed' : 'not certain that it can reach the database';
  return { known, doubts: [word, ...reasons] };
}

export function agentTooOld(node: MachineTarget, objection: string): CloudtunError {
  return new CloudtunError('CT_AGENT_TOO_OLD', `cannot go through ${targetLabel(node)}: ${objection}`, {
    hint: ['update the SSM agent on it, or go through another machine', 'see all: cloudtun targets --kind machine'],
  });
}

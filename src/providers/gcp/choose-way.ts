import { CloudtunError, type ErrorDetail } from '../../domain/errors.ts';
import {
  type DatabaseTarget,
  type HostTarget,
  type MachineTarget,
  type Route,
  targetLabel,
} from '../../domain/target.ts';
import { type DestinationGroup, entryFor, listDestinationGroups } from './destination-groups.ts';
import { findMachine, groupHost } from './find-machine.ts';
import type { GcpApi } from './gcp-api.ts';
import { parseVia } from './target-name.ts';

type Way = Pick<Route, 'node' | 'to' | 'reasons' | 'rejected'>;

/** How many groups an error or an explanation lists. */
const LISTED = 12;

/** `acme:europe-west4:reports` → europe-west4 */
const regionOf = (database: DatabaseTarget) => database.id.split(':').at(-2) ?? '';
const networkName = (database: DatabaseTarget) => database.networkId?.split('/').at(-1);

/**
 * A destination group that holds the database's address: Identity-Aware Proxy then reaches it with no machine of ours in between.
 *
 * @throws CT_NO_BASTION with a reason for each group that was looked at
 */
export async function discoverWay(
  api: GcpApi,
  database: DatabaseTarget,
  host: string,
  port: number,
  signal: AbortSignal,
): Promise<Way> {
  const network = networkName(database);
  if (network === undefined) {
    throw new CloudtunError('CT_NO_BASTION', `no way to ${database.id}: it has no address in a VPC network`, {
      hint: [
        'give it a private address (private services access), or run the Cloud SQL Auth Proxy on a machine that reaches it',
        `then: cloudtun sql ${database.id} --via MACHINE:${port}`,
      ],
    });
  }
  const region = regionOf(database);
  const { groups, unseen } = await groupsOf(api, database, region, signal);
  const holding = groups.flatMap((group) => {
    const entry = entryFor(group, host);
    return entry === undefined ? [] : [{ group, entry }];
  });
  // The narrowest entry was made for this database; of two alike the first by name.
  holding.sort((a, b) => prefixLength(b.entry) - prefixLength(a.entry) || (a.group.name < b.group.name ? -1 : 1));
  const nodeOf = (group: DestinationGroup) => groupNode(group, host, network);
  const [best, ...others] = holding;
  if (best === undefined) throw noWay(database, host, port, groups, unseen);
  const left = groups.filter((group) => !holding.some((each) => each.group === group));
  return {
    node: nodeOf(best.group),
    to: { port },
    reasons: [
      `the destination group ${best.group.name} in ${region} holds ${host} (${best.entry})`,
      `reached from network ${network}, which has the database's private address`,
    ],
    rejected: [
      ...others.map(({ group, entry }) => ({
        node: nodeOf(group),
        reason: `would do as well (${entry}); ${best.group.name} ranks first`,
      })),
      ...left.map((group) => ({ node: nodeOf(group), reason: `holds ${contents(group)}, not ${host}` })),
    ].slice(0, LISTED),
  };
}

const prefixLength = (entry: string) => Number(entry.split('/')[1] ?? 128);

const contents = ({ cidrs, fqdns }: DestinationGroup) => {
  const entries = [...cidrs, ...fqdns];
  const shown = entries.slice(0, 4).join(', ') || 'nothing';
  return entries.length > 4 ? `${shown} and ${entries.length - 4} more` : shown;
};

const groupNode = (group: DestinationGroup, host: string, network: string): HostTarget =>
  groupHost(group.project, { host, region: group.region, network, group: group.name });

/** Groups may be in the database's project, in the network's, or in one that was named. A denial hides some and is told. */
async function groupsOf(
  api: GcpApi,
  database: DatabaseTarget,
  region: string,
  signal: AbortSignal,
): Promise<{ readonly groups: DestinationGroup[]; readonly unseen: CloudtunError[] }> {
  const networkProject = /^projects\/([^/]+)\//.exec(database.networkId ?? '')?.[1];
  const projects = new Set(
    [networkProject, database.project, ...api.settings.projects].filter((each) => each !== undefined),
  );
  const unseen: CloudtunError[] = [];
  const lists = await Promise.all(
    [...projects].map((project) =>
      listDestinationGroups(api, project, region, signal).catch((error: unknown): DestinationGroup[] => {
        if (!(error instanceof CloudtunError) || signal.aborted) throw error;
        // Nothing that is wrong with one project's list should hide another's; without any it is told in the end.
        if (error.retryable) throw error;
        unseen.push(error);
        return [];
      }),
    ),
  );
  return { groups: lists.flat(), unseen };
}

function noWay(
  database: DatabaseTarget,
  host: string,
  port: number,
  groups: readonly DestinationGroup[],
  unseen: readonly CloudtunError[],
): CloudtunError {
  const region = regionOf(database);
  const looked = groups.slice(0, LISTED).map((group): ErrorDetail => [group.name, `holds ${contents(group)}`]);
  const hidden = unseen.map((error): ErrorDetail => ['not seen', error.message]);
  return new CloudtunError(
    'CT_NO_BASTION',
    `no way to ${database.id}: no destination group of ${region} that may be seen holds ${host}`,
    {
      details: [...looked, ...hidden],
      hint: [
        `make one: gcloud iap tcp dest-groups create databases --region=${region} --ip-range-list=${host}/32 --project=${database.project ?? '?'}`,
        `or run the Cloud SQL Auth Proxy on a machine, listening on its network address: cloudtun sql ${database.id} --via MACHINE:${port}`,
        'or name a group that may not be listed: --via @REGION/NETWORK/GROUP',
      ],
    },
  );
}

/**
 * The way that a person chose: a destination group (`@region/network/group`, or its name), or a machine on which something forwards
 * to the database (`bastion:5432`).
 *
 * @throws CT_NO_BASTION for a machine without a port: Identity-Aware Proxy reaches ports of the machine and nothing behind it
 */
export async function chosenWay(
  api: GcpApi,
  database: DatabaseTarget,
  host: string,
  port: number,
  text: string,
  signal: AbortSignal,
): Promise<Way> {
  const via = parseVia(text);
  if (via.by === 'group') {
    const project = api.settings.projects[0] ?? database.project ?? '';
    return { node: groupHost(project, { ...via, host }), to: { port }, reasons: ['chosen by --via'], rejected: [] };
  }
  const group = via.port === undefined ? await groupCalled(api, database, via.text, signal) : undefined;
  const network = networkName(database);
  if (group !== undefined && network !== undefined) {
    const entry = entryFor(group, host);
    const doubt =
      entry === undefined ? [`warning: it holds ${contents(group)}, not ${host}`] : [`it holds ${host} (${entry})`];
    return {
      node: groupNode(group, host, network),
      to: { port },
      reasons: [`destination group ${group.name}, chosen by --via`, ...doubt],
      rejected: [],
    };
  }
  const node = await findMachine(api, via.text, {}, signal);
  if (node.kind === 'host') return { node, to: { port }, reasons: ['chosen by --via'], rejected: [] };
  if (via.port === undefined) throw cannotForward(database, node, port);
  return {
    node,
    to: { port: via.port },
    reasons: [
      'chosen by --via',
      `something on ${targetLabel(node)} must forward port ${via.port} to ${database.id}, such as the Cloud SQL Auth Proxy`,
    ],
    rejected: [],
  };
}

/** A bare word may be the name of a group. What may not be listed is not known. */
async function groupCalled(
  api: GcpApi,
  database: DatabaseTarget,
  word: string,
  signal: AbortSignal,
): Promise<DestinationGroup | undefined> {
  if (!/^[a-z][a-z0-9-]*$/.test(word)) return undefined;
  const { groups } = await groupsOf(api, database, regionOf(database), signal);
  return groups.find(({ name }) => name === word);
}

/** @throws nothing: makes CT_NO_BASTION */
export function cannotForward(database: DatabaseTarget, node: MachineTarget, port: number): CloudtunError {
  return new CloudtunError(
    'CT_NO_BASTION',
    `${targetLabel(node)} cannot forward to ${database.id}: Identity-Aware Proxy reaches ports of a machine and nothing behind it`,
    {
      hint: [
        `where the Cloud SQL Auth Proxy listens on it, write the port: --via ${targetLabel(node)}:${port}`,
        'or reach the database through a destination group: leave out --via, or write --via @REGION/NETWORK/GROUP',
      ],
    },
  );
}

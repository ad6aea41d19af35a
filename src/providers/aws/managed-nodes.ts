import type { Millis } from '../../domain/millis.ts';
import { isoTime } from '../../runtime/iso-time.ts';
import type { AwsApi } from './aws-api.ts';
import { awsErrorName } from './aws-errors.ts';
import type { DescribeInstanceInformationCommandInput, InstanceInformation } from './sdk/ssm.ts';

/** What Systems Manager knows of a node's agent. */
export interface ManagedNode {
  /** `i-…` or `mi-…`. */
  readonly id: string;
  readonly online: boolean;
  readonly agentVersion?: string;
  readonly lastPing?: Millis;
  /** Hybrid nodes: the name they were registered with. */
  readonly name?: string;
  readonly computerName?: string;
  readonly ip?: string;
  /** `Amazon Linux`, `Ubuntu` */
  readonly platform?: string;
}

/** Documented: 5 to 50 a page. */
const PAGE_SIZE = 50;
/** Guessed: 100 pages are 5,000 nodes; an account beyond is better served by an id or `--via`. */
const MAX_PAGES = 100;

function nodeFrom(info: InstanceInformation): ManagedNode[] {
  if (info.InstanceId === undefined) return [];
  return [
    {
      id: info.InstanceId,
      online: info.PingStatus === 'Online',
      ...(info.AgentVersion === undefined ? {} : { agentVersion: info.AgentVersion }),
      ...(info.LastPingDateTime === undefined ? {} : { lastPing: info.LastPingDateTime.getTime() }),
      ...(info.Name === undefined ? {} : { name: info.Name }),
      ...(info.ComputerName === undefined ? {} : { computerName: info.ComputerName }),
      ...(info.IPAddress === undefined ? {} : { ip: info.IPAddress }),
      ...(info.PlatformName === undefined ? {} : { platform: info.PlatformName }),
    },
  ];
}

/**
 * The nodes that fit the filter, all pages.
 *
 * @throws CT_DENIED and the other errors of a call
 */
async function describe(
  api: AwsApi,
  filters: DescribeInstanceInformationCommandInput['Filters'],
  signal: AbortSignal,
): Promise<ManagedNode[]> {
  const call = { action: 'ssm:DescribeInstanceInformation', doing: 'list the nodes of Systems Manager' };
  return api.ssm(call, signal, async (sdk, client, options) => {
    const nodes: ManagedNode[] = [];
    let nextToken: string | undefined;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const answer = await client.send(
        new sdk.DescribeInstanceInformationCommand({
          MaxResults: PAGE_SIZE,
          ...(filters === undefined ? {} : { Filters: filters }),
          ...(nextToken === undefined ? {} : { NextToken: nextToken }),
        }),
        options,
      );
      nodes.push(...(answer.InstanceInformationList ?? []).flatMap(nodeFrom));
      nextToken = answer.NextToken || undefined;
      if (nextToken === undefined) break;
    }
    return nodes;
  });
}

/** Every node of the region, or those whose agent is connected now. */
export function allNodes(
  api: AwsApi,
  options: { readonly onlineOnly?: boolean; readonly hybridOnly?: boolean },
  signal: AbortSignal,
): Promise<ManagedNode[]> {
  const filters = [
    ...(options.onlineOnly ? [{ Key: 'PingStatus', Values: ['Online'] }] : []),
    ...(options.hybridOnly ? [{ Key: 'ResourceType', Values: ['ManagedInstance'] }] : []),
  ];
  return describe(api, filters.length > 0 ? filters : undefined, signal);
}

/** The nodes among the given ids that Systems Manager knows, by id. */
export async function nodesById(
  api: AwsApi,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, ManagedNode>> {
  const found = new Map<string, ManagedNode>();
  for (let start = 0; start < ids.length; start += PAGE_SIZE) {
    const some = ids.slice(start, start + PAGE_SIZE);
    const nodes = await describe(api, [{ Key: 'InstanceIds', Values: some }], signal).catch((error: unknown) => {
      // Some regions answer so for an id that never had an agent, instead of with an empty list.
      if (awsErrorName(error) === 'InvalidInstanceId') return [];
      throw error;
    });
    for (const node of nodes) found.set(node.id, node);
  }
  return found;
}

/** `agent offline since 2026-11-20`, in UTC. */
export function offlineRemark(node: ManagedNode | undefined): string {
  if (node === undefined) return 'not registered with Systems Manager (no agent, or no instance profile)';
  return node.lastPing === undefined ? 'agent offline' : `agent offline since ${isoTime(node.lastPing).slice(0, 10)}`;
}

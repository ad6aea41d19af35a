import type { Millis } from '../../domain/millis.ts';
import type { MachineTarget } from '../../domain/target.ts';
import type { AwsApi } from './aws-api.ts';
import { awsErrorName } from './aws-errors.ts';
import type { ManagedNode } from './managed-nodes.ts';
import type { Filter, Instance } from './sdk/ec2.ts';

/** A machine with what we know of it beyond the domain's type. */
export interface Machine {
  readonly target: MachineTarget;
  readonly tags: Readonly<Record<string, string>>;
  readonly ipv6: readonly string[];
  readonly launchedAt: Millis;
  /** What Systems Manager knows; undefined when it knows nothing or was not asked. */
  readonly node: ManagedNode | undefined;
}

/** Documented: 5 to 1,000 a page. */
const PAGE_SIZE = 1_000;
const MAX_PAGES = 50;
/** Terminated machines stay visible for an hour under their old names. */
const LIVING = { Name: 'instance-state-name', Values: ['pending', 'running', 'stopping', 'stopped'] };

/** EC2 reads `*` and `?` in a filter value as wildcards; a name may hold them. */
export function literalFilterValue(text: string): string {
  return text.replace(/[\\*?]/g, '\\$&');
}

function stateOf(name: string | undefined): MachineTarget['state'] {
  if (name === 'running') return 'running';
  return name === 'stopped' || name === 'stopping' ? 'stopped' : 'other';
}

function machineFrom(instance: Instance): Machine[] {
  if (instance.InstanceId === undefined) return [];
  const tags = Object.fromEntries((instance.Tags ?? []).map((tag) => [tag.Key ?? '', tag.Value ?? '']));
  const optional = {
    name: tags.Name,
    privateIp: instance.PrivateIpAddress,
    privateDns: instance.PrivateDnsName || undefined,
    zone: instance.Placement?.AvailabilityZone,
    networkId: instance.VpcId,
    subnetId: instance.SubnetId,
  };
  const known = Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined && value !== ''));
  const interfaces = instance.NetworkInterfaces ?? [];
  return [
    {
      target: {
        kind: 'machine',
        provider: 'aws',
        id: instance.InstanceId,
        state: stateOf(instance.State?.Name),
        ...known,
        securityGroupIds: (instance.SecurityGroups ?? []).flatMap((group) => group.GroupId ?? []),
      },
      tags,
      ipv6: interfaces.flatMap((card) => (card.Ipv6Addresses ?? []).flatMap((address) => address.Ipv6Address ?? [])),
      launchedAt: instance.LaunchTime?.getTime() ?? 0,
      node: undefined,
    },
  ];
}

/**
 * The EC2 instances that fit the filters, all pages, without the terminated ones.
 *
 * @param doing for a denial: `look up machines`
 */
export async function describeMachines(
  api: AwsApi,
  filters: readonly Filter[],
  signal: AbortSignal,
  ids?: readonly string[],
): Promise<Machine[]> {
  const call = { action: 'ec2:DescribeInstances', doing: 'look up machines' };
  return api.ec2(call, signal, async (sdk, client, options) => {
    const machines: Machine[] = [];
    let nextToken: string | undefined;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const answer = await client.send(
        new sdk.DescribeInstancesCommand({
          Filters: [...filters, LIVING],
          // EC2 takes either ids or a page size.
          ...(ids === undefined ? { MaxResults: PAGE_SIZE } : { InstanceIds: [...ids] }),
          ...(nextToken === undefined ? {} : { NextToken: nextToken }),
        }),
        options,
      );
      for (const reservation of answer.Reservations ?? []) {
        machines.push(...(reservation.Instances ?? []).flatMap(machineFrom));
      }
      nextToken = answer.NextToken || undefined;
      if (nextToken === undefined) break;
    }
    return machines;
  });
}

/** One instance by its id; undefined when there is none (any more). */
export async function describeMachine(api: AwsApi, id: string, signal: AbortSignal): Promise<Machine | undefined> {
  try {
    return (await describeMachines(api, [], signal, [id]))[0];
  } catch (error) {
    if (['InvalidInstanceID.NotFound', 'InvalidInstanceID.Malformed'].includes(awsErrorName(error) ?? ''))
      return undefined;
    throw error;
  }
}

/** The same machine with what Systems Manager knows of it. `asked` false: nobody could ask, so nothing is said about its agent. */
export function withNode(machine: Machine, node: ManagedNode | undefined, asked = true): Machine {
  const { online: _, agentVersion: __, ...target } = machine.target;
  return {
    ...machine,
    node,
    target: {
      ...target,
      ...(asked ? { online: node?.online ?? false } : {}),
      ...(node?.agentVersion === undefined ? {} : { agentVersion: node.agentVersion }),
    },
  };
}

/** A machine of which only Systems Manager knows: a hybrid node, or any node where EC2 was not asked. */
export function machineOfNode(node: ManagedNode): Machine {
  const name = node.id.startsWith('mi-') ? (node.name ?? node.computerName) : undefined;
  const target: MachineTarget = {
    kind: 'machine',
    provider: 'aws',
    id: node.id,
    state: node.online ? 'running' : 'other',
    ...(name === undefined ? {} : { name }),
    ...(node.ip === undefined ? {} : { privateIp: node.ip }),
  };
  return withNode({ target, tags: {}, ipv6: [], launchedAt: 0, node }, node);
}

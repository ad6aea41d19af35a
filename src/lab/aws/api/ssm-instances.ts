import { type LabResource, resourceTags } from '../iam/iam-gate.ts';
import type { Inventory } from '../inventory.ts';
import { type RegisteredNode, registeredNodes } from '../managed-nodes.ts';
import { type ApiContext, type JsonOperation, regionalInventory } from './api-service.ts';
import { AwsFault } from './aws-fault.ts';
import type { JsonInput, JsonObject } from './json-input.ts';
import { takeJsonPage } from './paging.ts';

/** A machine as a resource of Systems Manager, with its tags. */
export function nodeResource(inventory: Inventory, region: string, id: string): LabResource {
  const where = `${region}:${inventory.account}`;
  const node = registeredNodes(inventory).find((one) => one.id === id);
  return {
    arn: id.startsWith('i-') ? `arn:aws:ec2:${where}:instance/${id}` : `arn:aws:ssm:${where}:managed-instance/${id}`,
    context: resourceTags('ssm', node?.tags ?? {}),
  };
}

/** DescribeInstanceInformation: which machines have an agent, and whether it is connected. */
export function ssmInstanceOperations(context: ApiContext): Readonly<Record<string, JsonOperation>> {
  const isOnline = (node: RegisteredNode) => node.isOnline && !context.isNodeDead(node.id);
  return {
    DescribeInstanceInformation: {
      run: (input, call) => {
        const filters = [
          ...input.structures('Filters').map((one) => readFilter(one, 'Key', 'Values')),
          ...input.structures('InstanceInformationFilterList').map((one) => readFilter(one, 'key', 'valueSet')),
        ];
        const found = registeredNodes(regionalInventory(context, call)).filter((node) =>
          filters.every(({ key, values }) => {
            const mine = attributes(node, isOnline(node), key);
            return values.some((value) => mine.includes(value));
          }),
        );
        const size = Math.min(input.integer('MaxResults', 5, 50) ?? 10, context.pageLimit);
        const page = takeJsonPage('ssm:DescribeInstanceInformation', found, size, input);
        const now = context.world.clock.wall();
        return {
          InstanceInformationList: page.items.map((node) => describeNode(node, isOnline(node), now)),
          NextToken: page.next,
        };
      },
    },
  };
}

interface Filter {
  readonly key: string;
  readonly values: readonly string[];
}

function readFilter(filter: JsonInput, keyName: string, valuesName: string): Filter {
  const key = filter.requiredText(keyName, { min: 1 });
  const values = filter.textList(valuesName);
  if (values.length === 0) {
    throw new AwsFault('InvalidInstanceInformationFilterValue', 400, `The filter ${key} has no values.`);
  }
  const badId = key === 'InstanceIds' ? values.find((id) => !/^(i|mi)-[0-9a-f]{8,17}$/.test(id)) : undefined;
  if (badId !== undefined) {
    throw new AwsFault(
      'ValidationException',
      400,
      `Value '${badId}' at 'filters' failed to satisfy constraint: invalid instance id`,
    );
  }
  return { key, values };
}

function attributes(node: RegisteredNode, isOnline: boolean, key: string): readonly string[] {
  if (key.startsWith('tag:')) {
    const value = node.tags[key.slice('tag:'.length)];
    return value === undefined ? [] : [value];
  }
  switch (key) {
    case 'InstanceIds':
      return [node.id];
    case 'PingStatus':
      return [pingStatus(isOnline)];
    case 'AgentVersion':
      return [node.agent.version];
    case 'PlatformTypes':
      return ['Linux'];
    case 'ResourceType':
      return [node.kind];
    case 'tag-key':
      return Object.keys(node.tags);
    case 'ActivationIds':
    case 'IamRole':
    case 'AssociationStatus':
      return [];
    default:
      throw new AwsFault('InvalidFilterKey', 400, `${key} is not a valid filter key.`);
  }
}

const pingStatus = (isOnline: boolean): string => (isOnline ? 'Online' : 'ConnectionLost');

const PLATFORMS = {
  'amazon-linux': ['Amazon Linux', '2023'],
  ubuntu: ['Ubuntu', '24.04'],
  debian: ['Debian GNU/Linux', '12'],
} as const satisfies Record<RegisteredNode['system'], readonly [string, string]>;

function describeNode(node: RegisteredNode, isOnline: boolean, now: number): JsonObject {
  const hybrid = node.kind === 'ManagedInstance';
  return {
    InstanceId: node.id,
    PingStatus: pingStatus(isOnline),
    LastPingDateTime: (now - node.agent.lastPing) / 1_000,
    AgentVersion: node.agent.version,
    IsLatestVersion: false,
    PlatformType: 'Linux',
    PlatformName: PLATFORMS[node.system][0],
    PlatformVersion: PLATFORMS[node.system][1],
    ResourceType: node.kind,
    IPAddress: node.ip,
    ComputerName: node.computerName,
    Name: hybrid ? node.name : undefined,
    RegistrationDate: hybrid ? Date.parse(node.registeredAt) / 1_000 : undefined,
    SourceId: hybrid ? undefined : node.id,
    SourceType: hybrid ? undefined : 'AWS::EC2::Instance',
  };
}

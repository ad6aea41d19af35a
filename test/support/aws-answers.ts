import nock from 'nock';
import type { AwsProvider } from '../../src/providers/aws/aws-provider.ts';
import { awsProvider } from '../../src/providers/aws/aws-provider.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { type ManualWorld, manualWorld } from './manual-world.ts';

/*
 * AWS as recorded shapes behind nock: Systems Manager speaks JSON 1.1, EC2 and RDS the XML query protocol, each with its own form of
 * error. A test says what each action answers; what it does not say is an error that names the action.
 */

export const REGION = 'eu-west-1';

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers?: Record<string, string>;
}

/** What was asked: the action, its parameters (JSON, or the flat names of the query protocol), and the headers. */
export interface Asked {
  readonly service: string;
  readonly action: string;
  readonly input: Record<string, unknown>;
  readonly headers: Record<string, string>;
}

export type Responder = (asked: Asked) => Answer;

type Tree = { readonly [name: string]: Tree | Tree[] | string | number | boolean | undefined };

/** An object as XML: a list is given as `{ item: [ … ] }` and repeats the element. */
export function xml(tree: Tree): string {
  const element = (name: string, value: Tree[string]): string => {
    if (value === undefined) return '';
    if (Array.isArray(value)) return value.map((entry) => element(name, entry)).join('');
    const content = typeof value === 'object' ? xml(value) : String(value).replace(/&/g, '&amp;').replace(/</g, '&lt;');
    return `<${name}>${content}</${name}>`;
  };
  return Object.entries(tree)
    .map(([name, value]) => element(name, value))
    .join('');
}

export const json = (body: object): Answer => ({ status: 200, body: JSON.stringify(body) });

export function ec2(action: string, tree: Tree): Answer {
  const name = `${action}Response`;
  return {
    status: 200,
    body: `<${name} xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">${xml({ requestId: 'r', ...tree })}</${name}>`,
  };
}

export function rds(action: string, tree: Tree): Answer {
  const result = xml({ [`${action}Result`]: tree, ResponseMetadata: { RequestId: 'r' } });
  return {
    status: 200,
    body: `<${action}Response xmlns="http://rds.amazonaws.com/doc/2014-10-31/">${result}</${action}Response>`,
  };
}

/** An error in the form of the service that was asked. */
export function refusal(code: string, status = 400): Responder {
  return ({ service }) => {
    if (JSON_SERVICES.includes(service) || service === 'oidc') {
      const body =
        service !== 'oidc' ? { __type: code, Message: 'made up' } : { error: code, error_description: 'made up' };
      return { status, body: JSON.stringify(body), headers: { 'x-amzn-errortype': code } };
    }
    const error = xml({ Error: { Code: code, Message: 'made up' } });
    return service === 'ec2'
      ? { status, body: `<Response><Errors>${error}</Errors><RequestID>r</RequestID></Response>` }
      : { status, body: `<ErrorResponse>${error}<RequestId>r</RequestId></ErrorResponse>` };
  };
}

/** One answer after the other; the last one stays. */
export function inTurn(...answers: (Answer | Responder)[]): Responder {
  let count = 0;
  return (asked) => {
    const answer = answers[Math.min(count, answers.length - 1)]!;
    count += 1;
    return typeof answer === 'function' ? answer(asked) : answer;
  };
}

export interface FakeAws extends AsyncDisposable {
  readonly asked: Asked[];
  /** The actions asked so far, in order. */
  actions(): string[];
  on(action: string, answer: Answer | Responder): FakeAws;
  readonly provider: AwsProvider;
  readonly manual: ManualWorld;
}

const HOSTS = ['ssm', 'ec2', 'ec2-instance-connect', 'rds', 'sts', 'oidc'];
/** Those that speak JSON 1.1. */
const JSON_SERVICES = ['ssm', 'ec2-instance-connect'];
const KEYS = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };

/** A provider whose every call is answered by `on`; nothing leaves the process. Dispose it, or the next test file has no network. */
export async function fakeAws(
  options: {
    readonly env?: Record<string, string>;
    readonly home?: string;
    readonly selection?: { profile?: string; region?: string };
    readonly prompts?: Parameters<typeof awsProvider>[2];
    /** The wall clock, where the SDK compares something of ours with its own. */
    readonly wall?: () => number;
  } = {},
): Promise<FakeAws> {
  const manual = manualWorld({
    ...(options.home === undefined ? {} : { home: options.home }),
    env: { ...KEYS, AWS_REGION: REGION, AWS_MAX_ATTEMPTS: '1', ...options.env },
  });
  const { wall } = options;
  const world = wall === undefined ? manual.world : { ...manual.world, clock: withWall(manual.clock, wall) };
  const provider = await awsProvider(world, options.selection ?? {}, options.prompts);
  const asked: Asked[] = [];
  const responders = new Map<string, Answer | Responder>();
  if (!nock.isActive()) nock.activate();
  nock.disableNetConnect();
  for (const service of HOSTS) {
    nock(`https://${service}.${REGION}.amazonaws.com`)
      .persist()
      .post(/.*/)
      .reply(async (request: Request) => {
        const call = await parse(service, request);
        asked.push(call);
        const responder = responders.get(call.action) ?? refusal(`NotScripted${call.action}`);
        const answer = typeof responder === 'function' ? responder(call) : responder;
        return [answer.status, answer.body, answer.headers ?? {}];
      });
  }
  const fake: FakeAws = {
    asked,
    provider,
    manual,
    actions: () => asked.map((call) => call.action),
    on(action, answer) {
      responders.set(action, answer);
      return fake;
    },
    async [Symbol.asyncDispose]() {
      await provider[Symbol.asyncDispose]();
      nock.cleanAll();
      nock.enableNetConnect();
      nock.restore();
    },
  };
  return fake;
}

function withWall(clock: Clock, wall: () => number): Clock {
  return {
    wall,
    now: () => clock.now(),
    after: (...args) => clock.after(...args),
    soon: (call) => clock.soon(call),
    sleep: (...args) => clock.sleep(...args),
  };
}

async function parse(service: string, request: Request): Promise<Asked> {
  const text = await request.text();
  const headers = Object.fromEntries(request.headers);
  if (JSON_SERVICES.includes(service)) {
    return { service, action: headers['x-amz-target']?.split('.')[1] ?? '', input: JSON.parse(text), headers };
  }
  if (service === 'oidc') return { service, action: new URL(request.url).pathname, input: JSON.parse(text), headers };
  const fields = Object.fromEntries(new URLSearchParams(text));
  return { service, action: fields.Action ?? '', input: fields, headers };
}

/* ---- recorded shapes ---- */

export interface InstanceShape {
  readonly id: string;
  readonly name?: string;
  readonly state?: string;
  readonly ip?: string;
  readonly ipv6?: string;
  readonly zone?: string;
  readonly vpc?: string;
  readonly subnet?: string;
  readonly groups?: readonly string[];
  readonly launched?: string;
  readonly tags?: Readonly<Record<string, string>>;
}

export const VPC = 'vpc-0a1b2c3d';

export function instancesAnswer(instances: readonly InstanceShape[], nextToken?: string): Answer {
  const item = instances.map((shape) => {
    const ip = shape.ip ?? '10.0.1.5';
    const tags = { ...(shape.name === undefined ? {} : { Name: shape.name }), ...shape.tags };
    return {
      reservationId: `r-${shape.id}`,
      instancesSet: {
        item: {
          instanceId: shape.id,
          instanceState: { code: 16, name: shape.state ?? 'running' },
          privateDnsName: `ip-${ip.replaceAll('.', '-')}.${REGION}.compute.internal`,
          privateIpAddress: ip,
          launchTime: shape.launched ?? '2026-10-01T00:00:00.000Z',
          placement: { availabilityZone: shape.zone ?? `${REGION}a` },
          subnetId: shape.subnet ?? 'subnet-app-a',
          vpcId: shape.vpc ?? VPC,
          groupSet: { item: (shape.groups ?? ['sg-bastion']).map((groupId) => ({ groupId, groupName: groupId })) },
          tagSet: { item: Object.entries(tags).map(([key, value]) => ({ key, value })) },
          networkInterfaceSet: {
            item: { ipv6AddressesSet: shape.ipv6 === undefined ? {} : { item: { ipv6Address: shape.ipv6 } } },
          },
        },
      },
    };
  });
  return ec2('DescribeInstances', { reservationSet: { item }, nextToken });
}

export interface NodeShape {
  readonly id: string;
  readonly status?: 'Online' | 'ConnectionLost' | 'Inactive';
  readonly agent?: string;
  readonly name?: string;
  readonly ip?: string;
  /** Seconds since 1970, as the service gives it. */
  readonly lastPing?: number;
}

export function nodesAnswer(nodes: readonly NodeShape[], nextToken?: string): Answer {
  return json({
    InstanceInformationList: nodes.map((node) => ({
      InstanceId: node.id,
      PingStatus: node.status ?? 'Online',
      AgentVersion: node.agent ?? '3.3.4121.0',
      LastPingDateTime: node.lastPing ?? 1_795_338_000,
      ComputerName: `${node.id}.internal`,
      IPAddress: node.ip ?? '10.0.1.5',
      PlatformType: 'Linux',
      ...(node.name === undefined ? {} : { Name: node.name }),
    })),
    ...(nextToken === undefined ? {} : { NextToken: nextToken }),
  });
}

/** Answers DescribeInstanceInformation as the service does: by the ids, the status and the type that the filters ask for. */
export function nodesResponder(nodes: readonly NodeShape[]): Responder {
  return ({ input }) => {
    const filters = (input.Filters ?? []) as { Key: string; Values: string[] }[];
    const fits = (node: NodeShape) =>
      filters.every(({ Key, Values }) => {
        if (Key === 'InstanceIds') return Values.includes(node.id);
        if (Key === 'PingStatus') return Values.includes(node.status ?? 'Online');
        if (Key === 'ResourceType')
          return Values.includes(node.id.startsWith('mi-') ? 'ManagedInstance' : 'EC2Instance');
        return false;
      });
    return nodesAnswer(nodes.filter(fits));
  };
}

export interface DatabaseShape {
  readonly id: string;
  readonly engine?: string;
  readonly version?: string;
  readonly status?: string;
  readonly host?: string;
  readonly port?: number;
  readonly zone?: string;
  readonly vpc?: string;
  readonly subnets?: readonly string[];
  readonly groups?: readonly string[];
  readonly cluster?: string;
  readonly name?: string;
  readonly replicas?: readonly string[];
}

const RDS_DOMAIN = `c1abcdefghij.${REGION}.rds.amazonaws.com`;
export const hostOf = (id: string, kind = '') => `${id}.${kind}${RDS_DOMAIN}`;

export function dbInstancesAnswer(databases: readonly DatabaseShape[], marker?: string): Answer {
  const list = databases.map((db) => ({
    DBInstanceIdentifier: db.id,
    DBInstanceArn: `arn:aws:rds:${REGION}:111122223333:db:${db.id}`,
    Engine: db.engine ?? 'mysql',
    EngineVersion: db.version ?? '8.0.36',
    DBInstanceStatus: db.status ?? 'available',
    Endpoint: { Address: db.host ?? hostOf(db.id), Port: db.port ?? 3306 },
    AvailabilityZone: db.zone ?? `${REGION}a`,
    DBClusterIdentifier: db.cluster,
    DBSubnetGroup: {
      VpcId: db.vpc ?? VPC,
      Subnets: { Subnet: (db.subnets ?? ['subnet-db-a', 'subnet-db-b']).map((id) => ({ SubnetIdentifier: id })) },
    },
    VpcSecurityGroups: {
      VpcSecurityGroupMembership: (db.groups ?? ['sg-db']).map((id) => ({ VpcSecurityGroupId: id, Status: 'active' })),
    },
    ReadReplicaDBInstanceIdentifiers: {
      ReadReplicaDBInstanceIdentifier: [...(db.replicas ?? [])].map(String) as never,
    },
    TagList: db.name === undefined ? {} : { Tag: [{ Key: 'Name', Value: db.name }] },
  }));
  return rds('DescribeDBInstances', { DBInstances: { DBInstance: list }, Marker: marker });
}

export interface ClusterShape {
  readonly id: string;
  readonly engine?: string;
  readonly version?: string;
  readonly status?: string;
  readonly members: readonly string[];
  readonly customHosts?: readonly string[];
  readonly name?: string;
}

export function dbClustersAnswer(clusters: readonly ClusterShape[]): Answer {
  const list = clusters.map((cluster) => ({
    DBClusterIdentifier: cluster.id,
    DBClusterArn: `arn:aws:rds:${REGION}:111122223333:cluster:${cluster.id}`,
    Engine: cluster.engine ?? 'aurora-mysql',
    EngineVersion: cluster.version ?? '8.0.mysql_aurora.3.08.1',
    Status: cluster.status ?? 'available',
    Endpoint: hostOf(cluster.id, 'cluster-'),
    ReaderEndpoint: hostOf(cluster.id, 'cluster-ro-'),
    CustomEndpoints: { member: [...(cluster.customHosts ?? [])] as never },
    Port: 3306,
    DBSubnetGroup: 'databases',
    VpcSecurityGroups: { VpcSecurityGroupMembership: [{ VpcSecurityGroupId: 'sg-db', Status: 'active' }] },
    DBClusterMembers: {
      DBClusterMember: cluster.members.map((id, index) => ({ DBInstanceIdentifier: id, IsClusterWriter: index === 0 })),
    },
    TagList: cluster.name === undefined ? {} : { Tag: [{ Key: 'Name', Value: cluster.name }] },
  }));
  return rds('DescribeDBClusters', { DBClusters: { DBCluster: list } });
}

export interface ProxyShape {
  readonly name: string;
  readonly family?: string;
  readonly status?: string;
}

export function dbProxiesAnswer(proxies: readonly ProxyShape[]): Answer {
  const list = proxies.map((proxy) => ({
    DBProxyName: proxy.name,
    DBProxyArn: `arn:aws:rds:${REGION}:111122223333:db-proxy:prx-${proxy.name}`,
    Status: proxy.status ?? 'available',
    EngineFamily: proxy.family ?? 'MYSQL',
    VpcId: VPC,
    VpcSecurityGroupIds: { member: ['sg-db'] as never },
    VpcSubnetIds: { member: ['subnet-db-a', 'subnet-db-b'] as never },
    Endpoint: hostOf(proxy.name, 'proxy-'),
  }));
  return rds('DescribeDBProxies', { DBProxies: { member: list } });
}

/** Answers the three Describe calls of RDS by identifier, as the service does. */
export function serveRds(
  fake: FakeAws,
  inventory: {
    readonly instances?: readonly DatabaseShape[];
    readonly clusters?: readonly ClusterShape[];
    readonly proxies?: readonly ProxyShape[];
  },
): FakeAws {
  const { instances = [], clusters = [], proxies = [] } = inventory;
  const pick = <Item>(items: readonly Item[], id: unknown, of: (item: Item) => string) =>
    id === undefined ? items : items.filter((item) => of(item) === String(id).toLowerCase());
  fake.on('DescribeDBInstances', (asked) => {
    const cluster = asked.input['Filters.Filter.1.Values.Value.1'];
    if (cluster !== undefined) return dbInstancesAnswer(instances.filter((db) => db.cluster === cluster));
    const found = pick(instances, asked.input.DBInstanceIdentifier, (db) => db.id);
    const isMissing = asked.input.DBInstanceIdentifier !== undefined && found.length === 0;
    return isMissing ? refusal('DBInstanceNotFound', 404)(asked) : dbInstancesAnswer(found);
  });
  fake.on('DescribeDBClusters', (asked) => {
    const found = pick(clusters, asked.input.DBClusterIdentifier, (cluster) => cluster.id);
    const isMissing = asked.input.DBClusterIdentifier !== undefined && found.length === 0;
    return isMissing ? refusal('DBClusterNotFoundFault', 404)(asked) : dbClustersAnswer(found);
  });
  fake.on('DescribeDBProxies', (asked) => {
    const found = pick(proxies, asked.input.DBProxyName, (proxy) => proxy.name);
    const isMissing = asked.input.DBProxyName !== undefined && found.length === 0;
    return isMissing ? refusal('DBProxyNotFoundFault', 404)(asked) : dbProxiesAnswer(found);
  });
  return fake;
}

export interface RuleShape {
  readonly protocol?: string;
  readonly ports?: readonly [number, number];
  readonly cidrs?: readonly string[];
  readonly ipv6?: readonly string[];
  readonly groups?: readonly string[];
  readonly lists?: readonly string[];
}

function permission(rule: RuleShape): Tree {
  return {
    ipProtocol: rule.protocol ?? 'tcp',
    fromPort: rule.ports?.[0],
    toPort: rule.ports?.[1],
    groups: { item: (rule.groups ?? []).map((groupId) => ({ userId: '111122223333', groupId })) },
    ipRanges: { item: (rule.cidrs ?? []).map((cidrIp) => ({ cidrIp })) },
    ipv6Ranges: { item: (rule.ipv6 ?? []).map((cidrIpv6) => ({ cidrIpv6 })) },
    prefixListIds: { item: (rule.lists ?? []).map((prefixListId) => ({ prefixListId })) },
  };
}

export function securityGroupsAnswer(
  groups: Readonly<Record<string, { readonly ingress?: readonly RuleShape[]; readonly egress?: readonly RuleShape[] }>>,
): Answer {
  const item = Object.entries(groups).map(([groupId, { ingress = [], egress = [] }]) => ({
    groupId,
    groupName: groupId,
    vpcId: VPC,
    ipPermissions: { item: ingress.map(permission) },
    ipPermissionsEgress: { item: egress.map(permission) },
  }));
  return ec2('DescribeSecurityGroups', { securityGroupInfo: { item } });
}

export function subnetsAnswer(
  subnets: readonly { readonly id: string; readonly cidr: string; readonly zone: string }[],
): Answer {
  const item = subnets.map(({ id, cidr, zone }) => ({
    subnetId: id,
    vpcId: VPC,
    cidrBlock: cidr,
    availabilityZone: zone,
  }));
  return ec2('DescribeSubnets', { subnetSet: { item } });
}

export function aclsAnswer(
  acls: readonly {
    readonly id: string;
    readonly subnets: readonly string[];
    readonly entries: readonly {
      number: number;
      egress: boolean;
      allow: boolean;
      cidr: string;
      ports?: [number, number];
    }[];
  }[],
): Answer {
  const item = acls.map(({ id, subnets, entries }) => ({
    networkAclId: id,
    vpcId: VPC,
    entrySet: {
      item: entries.map((entry) => ({
        ruleNumber: entry.number,
        protocol: entry.ports === undefined ? '-1' : '6',
        ruleAction: entry.allow ? 'allow' : 'deny',
        egress: entry.egress,
        cidrBlock: entry.cidr,
        portRange: entry.ports === undefined ? undefined : { from: entry.ports[0], to: entry.ports[1] },
      })),
    },
    associationSet: { item: subnets.map((subnetId) => ({ subnetId, networkAclId: id })) },
  }));
  return ec2('DescribeNetworkAcls', { networkAclSet: { item } });
}

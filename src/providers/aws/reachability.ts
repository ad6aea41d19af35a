import { type DatabaseTarget, type MachineTarget, targetLabel } from '../../domain/target.ts';
import { type Cidr, parseCidr } from '../../runtime/cidr.ts';
import { EPHEMERAL_PORTS, judgeAcl } from './network-acls.ts';
import type { NetworkPicture, SubnetFacts } from './network-picture.ts';
import { type GroupRules, judgeGroups, type Openness } from './security-groups.ts';

/** Whether a machine can open a TCP connection to a database, as far as the network's rules tell. */
export interface Reachability {
  readonly openness: Openness;
  /** Open: what lets it through. Closed: the first thing in the way. Unknown: what could not be made out. */
  readonly reasons: readonly string[];
}

export interface Caller {
  readonly target: MachineTarget;
  readonly ipv6: readonly string[];
}

const BEST_FIRST: readonly Openness[] = ['open', 'unknown', 'closed'];

/** The better of both address families: a client on the machine tries the other when one fails. */
export function judgeReach(
  caller: Caller,
  database: DatabaseTarget,
  port: number,
  picture: NetworkPicture,
): Reachability {
  const destination = subnetsOf(database, picture);
  const hasIpv6 =
    caller.ipv6.length > 0 && destination.some((subnet) => subnet.blocks.some((block) => block.family === 6));
  const verdicts = (hasIpv6 ? [4, 6] : [4]).map((family) =>
    judgeFamily(caller, database, port, picture, destination, family as 4 | 6),
  );
  return verdicts.sort((a, b) => BEST_FIRST.indexOf(a.openness) - BEST_FIRST.indexOf(b.openness))[0]!;
}

/** The subnets that the database may be in now: those of its zone, when it has one. */
function subnetsOf(database: DatabaseTarget, picture: NetworkPicture): SubnetFacts[] {
  const all = database.subnetIds.map((id) => picture.subnets?.get(id)).filter((subnet) => subnet !== undefined);
  const near = all.filter((subnet) => subnet.zone === database.zone);
  return database.zone !== undefined && near.length > 0 ? near : all;
}

interface Step {
  readonly openness: Openness;
  readonly reason: string | undefined;
}

function judgeFamily(
  caller: Caller,
  database: DatabaseTarget,
  port: number,
  picture: NetworkPicture,
  destination: readonly SubnetFacts[],
  family: 4 | 6,
): Reachability {
  const own = [caller.target.privateIp ?? '', ...caller.ipv6]
    .map(parseCidr)
    .filter((block) => block !== undefined && block.family === family) as Cidr[];
  const there = destination.flatMap((subnet) => subnet.blocks).filter((block) => block.family === family);
  const steps = [
    ...groupSteps(caller.target, database, port, picture, own, there, family),
    ...aclSteps(caller.target, port, picture, destination, own, family),
  ];
  const blocked = steps.find((step) => step.openness === 'closed');
  if (blocked !== undefined) return { openness: 'closed', reasons: reasonsOf([blocked]) };
  const unclear = steps.filter((step) => step.openness === 'unknown');
  return unclear.length > 0
    ? { openness: 'unknown', reasons: reasonsOf(unclear) }
    : { openness: 'open', reasons: reasonsOf(steps) };
}

const reasonsOf = (steps: readonly Step[]) => steps.flatMap((step) => step.reason ?? []);
const joined = (ids: readonly string[]) => (ids.length === 0 ? 'no security group' : ids.join(', '));

function groupSteps(
  node: MachineTarget,
  database: DatabaseTarget,
  port: number,
  picture: NetworkPicture,
  own: readonly Cidr[],
  there: readonly Cidr[],
  family: 4 | 6,
): Step[] {
  const { groups } = picture;
  if (groups === undefined)
    return [{ openness: 'unknown', reason: 'security groups may not be read (ec2:DescribeSecurityGroups)' }];
  const nodeGroupIds = node.securityGroupIds ?? [];
  const judge = (
    ids: readonly string[],
    side: 'ingress' | 'egress',
    peerGroupIds: readonly string[],
    blocks: readonly Cidr[],
  ) => {
    const known = ids.map((id) => groups.get(id)).filter((group): group is GroupRules => group !== undefined);
    const finding = judgeGroups(known, side, port, { groupIds: peerGroupIds, blocks }, family);
    const isPartial = known.length < ids.length && finding.openness === 'closed';
    return isPartial ? { openness: 'unknown' as const, because: `${joined(ids)} cannot be seen as a whole` } : finding;
  };
  const egress = judge(nodeGroupIds, 'egress', database.securityGroupIds, there);
  const ingress = judge(database.securityGroupIds, 'ingress', nodeGroupIds, own);
  const address = node.privateIp ?? 'its address';
  return [
    {
      openness: egress.openness,
      reason:
        egress.openness === 'closed'
          ? `${joined(nodeGroupIds)} of ${targetLabel(node)} lets nothing out to ${database.id} on ${port}`
          : egress.openness === 'unknown'
            ? `the way out: ${egress.because}`
            : undefined,
    },
    {
      openness: ingress.openness,
      reason:
        ingress.openness === 'closed'
          ? `${joined(database.securityGroupIds)} of ${database.id} does not admit ${joined(nodeGroupIds)} or ${address} on ${port}`
          : ingress.openness === 'unknown'
            ? `the way in: ${ingress.because}`
            : `${database.id} admits it: ${ingress.because}`,
    },
  ];
}

/** Network ACLs guard the borders of subnets, so there is nothing to ask inside one. What may not be read is passed over: most are open. */
function aclSteps(
  node: MachineTarget,
  port: number,
  picture: NetworkPicture,
  destination: readonly SubnetFacts[],
  own: readonly Cidr[],
  family: 4 | 6,
): Step[] {
  const from = node.subnetId;
  const address = own[0];
  const nodeAcl = from === undefined ? undefined : picture.acls?.get(from);
  if (picture.acls === undefined || address === undefined) return [];
  const answers = destination
    .filter((subnet) => subnet.id !== from)
    .map((subnet): Step => {
      const block = subnet.blocks.find((candidate) => candidate.family === family);
      const acl = picture.acls?.get(subnet.id);
      if (block === undefined) return { openness: 'open', reason: undefined };
      const verdicts = [
        nodeAcl && { at: nodeAcl.id, is: judgeAcl(nodeAcl.entries, { direction: 'out', block, ports: [port, port] }) },
        acl && { at: acl.id, is: judgeAcl(acl.entries, { direction: 'in', block: address, ports: [port, port] }) },
        acl && { at: acl.id, is: judgeAcl(acl.entries, { direction: 'out', block: address, ports: EPHEMERAL_PORTS }) },
        nodeAcl && {
          at: nodeAcl.id,
          is: judgeAcl(nodeAcl.entries, { direction: 'in', block, ports: EPHEMERAL_PORTS }),
        },
      ].filter((verdict) => verdict !== undefined);
      const worst =
        verdicts.find((verdict) => verdict.is === 'closed') ?? verdicts.find((verdict) => verdict.is === 'unknown');
      if (worst === undefined) return { openness: 'open', reason: undefined };
      const way = `the network ACL ${worst.at} between ${from ?? 'its subnet'} and ${subnet.id}`;
      return worst.is === 'closed'
        ? { openness: 'closed', reason: `${way} does not let ${port} or its answers through` }
        : { openness: 'unknown', reason: `${way} lets only a part of ${port} and its answers through` };
    });
  // Which of several subnets the database is in is not known: closed towards all is closed, towards some is a doubt.
  const closed = answers.filter((answer) => answer.openness === 'closed');
  if (closed.length === 0 || closed.length === answers.length) return answers;
  return answers.map((answer) => (answer.openness === 'closed' ? { ...answer, openness: 'unknown' } : answer));
}

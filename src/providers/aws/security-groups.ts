import { type Cidr, covers, overlaps, parseCidr } from '../../runtime/cidr.ts';
import type { IpPermission, SecurityGroup } from './sdk/ec2.ts';

/**
 * What security groups say about one TCP connection. They are stateful and only ever allow: a connection passes when any rule of any
 * group of the sender's egress, and any rule of any group of the receiver's ingress, covers it. Prefix lists are not looked into: a
 * rule with one makes the answer `unknown` unless another rule settles it.
 */
export type Openness = 'open' | 'closed' | 'unknown';

export interface Finding {
  readonly openness: Openness;
  /** What the answer rests on: the group or block that admits, the prefix list that could not be looked into. */
  readonly because?: string;
}

interface Rule {
  readonly groupId: string;
  readonly cidrs: readonly string[];
  readonly peerGroupIds: readonly string[];
  readonly prefixListIds: readonly string[];
}

export interface GroupRules {
  readonly id: string;
  readonly ingress: readonly IpPermission[];
  readonly egress: readonly IpPermission[];
}

/** The other end of the connection. */
export interface Peer {
  readonly groupIds: readonly string[];
  /** Every block that its address may be in; empty when that is not known. */
  readonly blocks: readonly Cidr[];
}

export function groupRulesFrom(group: SecurityGroup): GroupRules {
  return { id: group.GroupId ?? '', ingress: group.IpPermissions ?? [], egress: group.IpPermissionsEgress ?? [] };
}

/** `-1` is every protocol; then ports are not given. Ports -1 or none for TCP mean all of them. */
function coversPort(permission: IpPermission, port: number): boolean {
  if (permission.IpProtocol === '-1') return true;
  if (permission.IpProtocol !== 'tcp' && permission.IpProtocol !== '6') return false;
  const from = permission.FromPort ?? -1;
  const to = permission.ToPort ?? -1;
  return from === -1 || (from <= port && port <= (to === -1 ? 65_535 : to));
}

function rulesFor(groups: readonly GroupRules[], side: 'ingress' | 'egress', port: number): Rule[] {
  return groups.flatMap((group) =>
    group[side]
      .filter((permission) => coversPort(permission, port))
      .map((permission) => ({
        groupId: group.id,
        cidrs: [
          ...(permission.IpRanges ?? []).flatMap((range) => range.CidrIp ?? []),
          ...(permission.Ipv6Ranges ?? []).flatMap((range) => range.CidrIpv6 ?? []),
        ],
        peerGroupIds: (permission.UserIdGroupPairs ?? []).flatMap((pair) => pair.GroupId ?? []),
        prefixListIds: (permission.PrefixListIds ?? []).flatMap((list) => list.PrefixListId ?? []),
      })),
  );
}

const isWholeFamily = (cidr: Cidr) =>
  cidr.last - cidr.first === (cidr.family === 4 ? (1n << 32n) - 1n : (1n << 128n) - 1n);

/** Whether `groups` let TCP to `port` pass between their owner and `peer`, in one address family. */
export function judgeGroups(
  groups: readonly GroupRules[],
  side: 'ingress' | 'egress',
  port: number,
  peer: Peer,
  family: 4 | 6,
): Finding {
  const rules = rulesFor(groups, side, port);
  for (const rule of rules) {
    const shared = rule.peerGroupIds.find((id) => peer.groupIds.includes(id));
    if (shared !== undefined) return { openness: 'open', because: `${rule.groupId} names ${shared} on ${port}` };
  }
  const blocks = rules.flatMap((rule) => rule.cidrs.map((text) => ({ rule, text, cidr: parseCidr(text) })));
  const usable = blocks.filter(({ cidr }) => cidr?.family === family);
  const everyone = usable.find(({ cidr }) => isWholeFamily(cidr!));
  if (everyone !== undefined)
    return { openness: 'open', because: `${everyone.rule.groupId} names ${everyone.text} on ${port}` };

  const wanted = peer.blocks.filter((block) => block.family === family);
  const covering = wanted.map((block) => usable.find(({ cidr }) => covers(cidr!, block)));
  if (wanted.length > 0 && covering.every((found) => found !== undefined)) {
    const first = covering[0]!;
    return { openness: 'open', because: `${first.rule.groupId} names ${first.text} on ${port}` };
  }
  const list = rules.find((rule) => rule.prefixListIds.length > 0);
  if (list !== undefined) {
    return {
      openness: 'unknown',
      because: `${list.groupId} names the prefix list ${list.prefixListIds[0]}, which is not looked into`,
    };
  }
  const touched = usable.find(({ cidr }) => wanted.length === 0 || wanted.some((block) => overlaps(cidr!, block)));
  if (touched !== undefined) {
    return {
      openness: 'unknown',
      because: `${touched.rule.groupId} names ${touched.text}, which is a part of where it may be`,
    };
  }
  return { openness: 'closed' };
}

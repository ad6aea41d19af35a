import { type Cidr, covers, overlaps, parseCidr } from '../../runtime/cidr.ts';
import type { NetworkAclEntry } from './sdk/ec2.ts';
import type { Openness } from './security-groups.ts';

/**
 * What a network ACL says about TCP. It knows no connections: answers need a rule of their own. Rules are read by number, the first
 * that fits decides, and what fits none is denied.
 */
export interface AclQuestion {
  readonly direction: 'in' | 'out';
  /** Where the packets come from or go to. */
  readonly block: Cidr;
  readonly ports: readonly [from: number, to: number];
}

/** The ports that Linux takes for outgoing connections (net.ipv4.ip_local_port_range), where answers come back to. */
export const EPHEMERAL_PORTS: readonly [number, number] = [32_768, 60_999];

/** `unknown` when rules treat parts of the block or of the ports differently. */
export function judgeAcl(entries: readonly NetworkAclEntry[], question: AclQuestion): Openness {
  const [from, to] = question.ports;
  const ordered = entries
    .filter((entry) => entry.Egress === (question.direction === 'out'))
    .sort((a, b) => (a.RuleNumber ?? 0) - (b.RuleNumber ?? 0));
  const partly = new Set<Openness>();
  for (const entry of ordered) {
    if (entry.Protocol !== '-1' && entry.Protocol !== '6') continue;
    const cidr = parseCidr(entry.CidrBlock ?? entry.Ipv6CidrBlock ?? '');
    if (cidr === undefined || !overlaps(cidr, question.block)) continue;
    const low = entry.Protocol === '-1' ? 0 : (entry.PortRange?.From ?? 0);
    const high = entry.Protocol === '-1' ? 65_535 : (entry.PortRange?.To ?? 65_535);
    if (high < from || to < low) continue;
    const verdict: Openness = entry.RuleAction === 'allow' ? 'open' : 'closed';
    if (covers(cidr, question.block) && low <= from && to <= high) return settle(partly, verdict);
    partly.add(verdict);
  }
  return settle(partly, 'closed');
}

function settle(partly: ReadonlySet<Openness>, rest: Openness): Openness {
  return [...partly].every((verdict) => verdict === rest) ? rest : 'unknown';
}

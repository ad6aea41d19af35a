/**
 * Addresses that the agent refuses to forward to (docs/protocol/ssm.md, "Limits and pitfalls"): metadata, time and name services of
 * the cloud, the reserved addresses of the VPC, and since 3.3.4851 the node itself by way of `host`.
 */
import { BlockList, isIP } from 'node:net';

const ALWAYS_DENIED: ReadonlySet<string> = new Set([
  '169.254.169.254',
  '169.254.169.253',
  '169.254.169.123',
  '169.254.169.250',
  '169.254.169.251',
  'fd00:ec2::254',
  'fd00:ec2::253',
  'fd00:ec2::123',
  'fd00:ec2::240',
]);
/** The first agent that denies loopback. */
const LOOPBACK_DENIED_FROM = [3, 3, 4851];

export interface DeniedQuery {
  /** The `host` property as the client gave it. */
  readonly host: string;
  /** What it resolved to inside the cloud, when known. */
  readonly address?: string;
  readonly agentVersion: string;
  /** CIDR blocks of the node's VPC, such as `10.0.0.0/16`. */
  readonly vpcCidrs: readonly string[];
}

/** The text for `channel_closed.Output`, or undefined when the agent forwards there. */
export function denialOf(query: DeniedQuery): string | undefined {
  const addresses = [query.host, ...(query.address === undefined ? [] : [query.address])];
  const isDenied = addresses.some(
    (address) =>
      ALWAYS_DENIED.has(address.toLowerCase()) ||
      query.vpcCidrs.some((cidr) => isReserved(address, cidr)) ||
      (deniesLoopback(query.agentVersion) && isLoopback(address)),
  );
  return isDenied ? `Forwarding to IP address ${query.host} is forbidden.` : undefined;
}

function deniesLoopback(agentVersion: string): boolean {
  const parts = agentVersion.split('.').map(Number);
  for (const [index, least] of LOOPBACK_DENIED_FROM.entries()) {
    const part = parts[index] ?? 0;
    if (part !== least) return part > least;
  }
  return true;
}

function isLoopback(host: string): boolean {
  const name = host.toLowerCase();
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  const family = isIP(host);
  if (family === 0) return false;
  const loopback = new BlockList();
  loopback.addSubnet('127.0.0.0', 8, 'ipv4');
  loopback.addAddress('::1', 'ipv6');
  return loopback.check(host, family === 4 ? 'ipv4' : 'ipv6');
}

/** The first four and the last address of an IPv4 block. */
function isReserved(address: string, cidr: string): boolean {
  const [base, bits] = cidr.split('/');
  if (isIP(address) !== 4 || base === undefined || isIP(base) !== 4) return false;
  const size = 2 ** (32 - Number(bits));
  const offset = numberOf(address) - numberOf(base);
  return (offset >= 0 && offset < 4) || offset === size - 1;
}

function numberOf(address: string): number {
  return address.split('.').reduce((value, part) => value * 256 + Number(part), 0);
}

import { type Cidr, covers, overlaps, parseCidr } from '../../runtime/cidr.ts';
import { type GcpApi, path } from './gcp-api.ts';
import type { ApiCall } from './gcp-errors.ts';
import { type Machine, resourcePath } from './machines.ts';

/** Where the connections of Identity-Aware Proxy come from (docs/guides/google-cloud.md, "What the machine needs"). */
export const IAP_RANGES = { 4: '35.235.240.0/20', 6: '2600:2d00:1:7::/64' } as const;

/** A rule of a VPC network, as far as we read it. */
export interface FirewallRule {
  readonly name?: string;
  readonly network?: string;
  readonly direction?: string;
  readonly disabled?: boolean;
  readonly priority?: number;
  readonly sourceRanges?: readonly string[];
  readonly sourceTags?: readonly string[];
  readonly sourceServiceAccounts?: readonly string[];
  readonly targetTags?: readonly string[];
  readonly targetServiceAccounts?: readonly string[];
  readonly allowed?: readonly Protocol[];
  readonly denied?: readonly Protocol[];
}
interface Protocol {
  readonly IPProtocol?: string;
  readonly ports?: readonly string[];
}

export interface Admission {
  /** `open`: a rule lets all of the range in; `closed`: a rule or the default keeps it out; `partly`: some addresses only. */
  readonly is: 'open' | 'partly' | 'closed';
  /** The rule that decided; undefined: the default, which lets nobody in. */
  readonly rule: string | undefined;
}

/** @throws CT_DENIED, CT_API_DISABLED … */
export async function listFirewallRules(api: GcpApi, project: string, signal: AbortSignal): Promise<FirewallRule[]> {
  const call: ApiCall = {
    permission: 'compute.firewalls.list',
    resource: `project ${project}`,
    doing: `list the firewall rules of ${project}`,
    role: 'roles/compute.viewer',
  };
  const request = {
    service: 'compute' as const,
    path: path`/v1/projects/${project}/global/firewalls`,
    query: { maxResults: '500' },
  };
  type Page = { readonly nextPageToken?: string; readonly items?: readonly FirewallRule[] };
  return (await api.pages<Page>(request, call, signal)).flatMap(({ items }) => items ?? []);
}

/**
 * Whether the rules of the VPC network let the tunnel service in to a port of a machine. Rules of the organisation and of folders
 * (hierarchical policies) are not among them and may decide otherwise.
 *
 * @param port undefined: to any port at all
 */
export function judgeAdmission(
  { target, tags, serviceAccounts, interfaces }: Machine,
  port: number | undefined,
  rules: readonly FirewallRule[],
): Admission {
  const address = target.privateIp ?? '';
  const range = parseCidr(address.includes(':') ? IAP_RANGES[6] : IAP_RANGES[4])!;
  const network = interfaces.find(({ name }) => name === target.networkInterface)?.network ?? target.networkId;
  const concerns = (rule: FirewallRule) =>
    rule.disabled !== true &&
    rule.direction !== 'EGRESS' &&
    resourcePath(rule.network) === network &&
    aimsAt(rule, tags, serviceAccounts);
  const inOrder = rules.filter(concerns).sort((a, b) => priority(a) - priority(b) || rank(a) - rank(b));
  let partly: string | undefined;
  for (const rule of inOrder) {
    const isAllowing = (rule.allowed?.length ?? 0) > 0;
    if (!(isAllowing ? rule.allowed : rule.denied)?.some((each) => matchesPort(each, port, isAllowing))) continue;
    const sources = sourcesOf(rule);
    if (sources.some((source) => covers(source, range))) {
      if (isAllowing) return { is: 'open', rule: rule.name };
      return { is: partly === undefined ? 'closed' : 'partly', rule: partly ?? rule.name };
    }
    if (isAllowing && sources.some((source) => overlaps(source, range))) partly ??= rule.name ?? '?';
  }
  return partly === undefined ? { is: 'closed', rule: undefined } : { is: 'partly', rule: partly };
}

const priority = (rule: FirewallRule) => rule.priority ?? 1_000;
/** Of two rules with one priority the denying one wins. */
const rank = (rule: FirewallRule) => ((rule.denied?.length ?? 0) > 0 ? 0 : 1);

function aimsAt(rule: FirewallRule, tags: readonly string[], accounts: readonly string[]): boolean {
  const { targetTags = [], targetServiceAccounts = [] } = rule;
  if (targetTags.length === 0 && targetServiceAccounts.length === 0) return true;
  return targetTags.some((tag) => tags.includes(tag)) || targetServiceAccounts.some((each) => accounts.includes(each));
}

/** A rule that names tags or accounts as its only sources means machines, and the tunnel service is none. */
function sourcesOf(rule: FirewallRule): Cidr[] {
  const { sourceRanges = [], sourceTags = [], sourceServiceAccounts = [] } = rule;
  const isEmpty = sourceRanges.length === 0 && sourceTags.length === 0 && sourceServiceAccounts.length === 0;
  return (isEmpty ? ['0.0.0.0/0'] : sourceRanges).flatMap((text) => parseCidr(text) ?? []);
}

function matchesPort(protocol: Protocol, port: number | undefined, isAllowing: boolean): boolean {
  const name = protocol.IPProtocol?.toLowerCase();
  if (name !== 'tcp' && name !== 'all' && name !== '6') return false;
  const ports = protocol.ports ?? [];
  if (ports.length === 0) return true;
  // Some port is let in; but one port kept out says nothing of the others.
  if (port === undefined) return isAllowing;
  return ports.some((text) => {
    const [first, last = first] = text.split('-').map(Number);
    return first !== undefined && last !== undefined && first <= port && port <= last;
  });
}

/** The command that lets the tunnel service in to a port. */
export function admitCommand({ target }: Pick<Machine, 'target'>, port: number | undefined): string {
  const network = target.networkId?.split('/').at(-1) ?? 'default';
  const range = target.privateIp?.includes(':') ? IAP_RANGES[6] : IAP_RANGES[4];
  const rules = port === undefined ? 'tcp' : `tcp:${port}`;
  return `let it in: gcloud compute firewall-rules create allow-iap --direction=INGRESS --network=${network} --source-ranges=${range} --allow=${rules} --project=${target.project ?? '?'}`;
}

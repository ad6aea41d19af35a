import { isIP } from 'node:net';
import { covers, parseCidr } from '../../runtime/cidr.ts';
import { type GcpApi, path } from './gcp-api.ts';
import type { ApiCall } from './gcp-errors.ts';

/** A destination group of Identity-Aware Proxy: hosts that it reaches from a network (docs/protocol/iap.md, "Targets"). */
export interface DestinationGroup {
  readonly project: string;
  readonly region: string;
  readonly name: string;
  readonly cidrs: readonly string[];
  readonly fqdns: readonly string[];
}

/** @param region `-` for all of them. @throws CT_DENIED, CT_API_DISABLED … */
export async function listDestinationGroups(
  api: GcpApi,
  project: string,
  region: string,
  signal: AbortSignal,
): Promise<DestinationGroup[]> {
  const call: ApiCall = {
    permission: 'iap.tunnelDestGroups.list',
    resource: `projects/${project}/iap_tunnel/locations/${region}`,
    doing: `list the destination groups of ${region} in ${project}`,
    role: 'roles/iap.tunnelDestGroupViewer',
  };
  const request = {
    service: 'iap' as const,
    path: path`/v1/projects/${project}/iap_tunnel/locations/${region}/destGroups`,
    query: { pageSize: '1000' },
  };
  interface Page {
    readonly nextPageToken?: string;
    readonly tunnelDestGroups?: readonly {
      readonly name?: string;
      readonly cidrs?: readonly string[];
      readonly fqdns?: readonly string[];
    }[];
  }
  const pages = await api.pages<Page>(request, call, signal);
  return pages
    .flatMap(({ tunnelDestGroups }) => tunnelDestGroups ?? [])
    .map(({ name = '', cidrs = [], fqdns = [] }) => ({
      project,
      // Of `-`, all regions, each group says its own.
      region: /\/locations\/([^/]+)\//.exec(name)?.[1] ?? region,
      name: name.split('/').at(-1)!,
      cidrs,
      fqdns,
    }));
}

/** The entry of the group that holds an address or a name: `10.0.0.0/24`, `*.db.internal`. */
export function entryFor(
  { cidrs, fqdns }: Pick<DestinationGroup, 'cidrs' | 'fqdns'>,
  host: string,
): string | undefined {
  if (isIP(host) !== 0) {
    const address = parseCidr(host);
    return cidrs.find((text) => {
      const block = parseCidr(text);
      return block !== undefined && address !== undefined && covers(block, address);
    });
  }
  const name = host.toLowerCase().replace(/\.$/, '');
  return fqdns.find((entry) => {
    const pattern = entry.toLowerCase().replace(/\.$/, '');
    return pattern.startsWith('*.') ? name.endsWith(pattern.slice(1)) : name === pattern;
  });
}

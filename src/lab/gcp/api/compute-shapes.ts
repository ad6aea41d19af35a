import { createHash } from 'node:crypto';
import type { GcpFirewall, GcpInstance, GcpNetwork, GcpProject } from '../inventory.ts';
import { regionOf } from '../inventory.ts';

/** Resources of the Compute Engine API, v1, as JSON. Links lead to Google, as they do there: names are read from them, not fetched. */
const BASE = 'https://www.googleapis.com/compute/v1';

export const link = (path: string): string => `${BASE}/${path}`;

export function instanceShape(one: GcpInstance): object {
  const place = `projects/${one.project}/zones/${one.zone}`;
  const external =
    one.externalIp === undefined
      ? {}
      : {
          accessConfigs: [
            {
              kind: 'compute#accessConfig',
              type: 'ONE_TO_ONE_NAT',
              name: 'External NAT',
              natIP: one.externalIp,
              networkTier: 'PREMIUM',
            },
          ],
        };
  return {
    kind: 'compute#instance',
    id: one.id,
    creationTimestamp: one.createdAt,
    name: one.name,
    tags: { items: one.tags, fingerprint: 'bGFiLXRhZ3M=' },
    machineType: link(`${place}/machineTypes/${one.machineType}`),
    status: one.status,
    zone: link(place),
    canIpForward: false,
    networkInterfaces: [
      {
        kind: 'compute#networkInterface',
        name: 'nic0',
        network: link(`projects/${one.project}/global/networks/${one.network}`),
        subnetwork: link(`projects/${one.project}/regions/${regionOf(one.zone)}/subnetworks/${one.subnet}`),
        networkIP: one.ip,
        stackType: 'IPV4_ONLY',
        fingerprint: 'bGFiLW5pYw==',
        ...external,
      },
    ],
    disks: [],
    metadata: {
      kind: 'compute#metadata',
      fingerprint: metadataFingerprint(one.metadata),
      items: Object.entries(one.metadata).map(([key, value]) => ({ key, value })),
    },
    ...(one.serviceAccount === undefined
      ? {}
      : {
          serviceAccounts: [{ email: one.serviceAccount, scopes: ['https://www.googleapis.com/auth/cloud-platform'] }],
        }),
    selfLink: link(`${place}/instances/${one.name}`),
    scheduling: { onHostMaintenance: 'MIGRATE', automaticRestart: true, preemptible: false },
    cpuPlatform: one.status === 'RUNNING' ? 'Intel Broadwell' : 'Unknown CPU Platform',
    labels: one.labels,
    labelFingerprint: 'bGFiLWxhYmVscw==',
    startRestricted: false,
    deletionProtection: false,
    lastStartTimestamp: one.createdAt,
    ...(one.status === 'TERMINATED' ? { lastStopTimestamp: one.createdAt } : {}),
    resourceStatus: { physicalHost: '' },
    hostname: `${one.name}.${one.zone}.c.${one.project}.internal`,
  };
}

/** What a change must name, so that nobody else's is lost. */
export function metadataFingerprint(metadata: Readonly<Record<string, string>>): string {
  return createHash('sha256').update(JSON.stringify(metadata)).digest().toString('base64', 0, 8);
}

export function zoneShape(project: string, zone: string): object {
  return {
    kind: 'compute#zone',
    id: String(2_000 + zone.length),
    name: zone,
    description: zone,
    status: 'UP',
    region: link(`projects/${project}/regions/${regionOf(zone)}`),
    selfLink: link(`projects/${project}/zones/${zone}`),
  };
}

export function regionShape(project: string, region: string, zones: readonly string[]): object {
  return {
    kind: 'compute#region',
    id: String(1_000 + region.length),
    name: region,
    status: 'UP',
    zones: zones.map((zone) => link(`projects/${project}/zones/${zone}`)),
    selfLink: link(`projects/${project}/regions/${region}`),
  };
}

export function firewallShape(rule: GcpFirewall, index: number): object {
  const ports = rule.tcpPorts?.map((one) => (typeof one === 'number' ? `${one}` : `${one[0]}-${one[1]}`));
  const entry = [{ IPProtocol: 'tcp', ...(ports === undefined ? {} : { ports }) }];
  return {
    kind: 'compute#firewall',
    id: `43000000000000000${String(index).padStart(2, '0')}`,
    creationTimestamp: '2026-10-01T09:00:00.000+09:00',
    name: rule.name,
    description: '',
    network: link(`projects/${rule.project}/global/networks/${rule.network}`),
    priority: rule.priority,
    sourceRanges: rule.sourceRanges,
    ...(rule.targetTags === undefined ? {} : { targetTags: rule.targetTags }),
    ...(rule.action === 'allow' ? { allowed: entry } : { denied: entry }),
    direction: 'INGRESS',
    logConfig: { enable: false },
    disabled: rule.disabled,
    selfLink: link(`projects/${rule.project}/global/firewalls/${rule.name}`),
  };
}

export function networkShape(network: GcpNetwork): object {
  const { project, name, subnets } = network;
  return {
    kind: 'compute#network',
    id: '4400000000000000001',
    name,
    selfLink: link(`projects/${project}/global/networks/${name}`),
    autoCreateSubnetworks: false,
    subnetworks: subnets.map((one) => link(`projects/${project}/regions/${one.region}/subnetworks/${one.name}`)),
    routingConfig: { routingMode: 'REGIONAL' },
  };
}

export function projectShape(project: GcpProject): object {
  return {
    kind: 'compute#project',
    id: project.number,
    creationTimestamp: '2026-01-05T09:00:00.000+09:00',
    name: project.id,
    commonInstanceMetadata: {
      kind: 'compute#metadata',
      fingerprint: metadataFingerprint(project.metadata ?? {}),
      items: Object.entries(project.metadata ?? {}).map(([key, value]) => ({ key, value })),
    },
    quotas: [],
    selfLink: link(`projects/${project.id}`),
    defaultServiceAccount: `${project.number}-compute@developer.gserviceaccount.com`,
    xpnProjectStatus: 'UNSPECIFIED_XPN_PROJECT_STATUS',
    defaultNetworkTier: 'PREMIUM',
  };
}

import { type GcpInstance, regionOf } from '../inventory.ts';
import {
  firewallShape,
  instanceShape,
  link,
  networkShape,
  projectShape,
  regionShape,
  zoneShape,
} from './compute-shapes.ts';
import { faults } from './google-fault.ts';
import { parseFilter } from './list-filter.ts';
import type { GcpApiContext, GcpCall, GcpOperation } from './operation.ts';
import { pageOf } from './page.ts';

const SERVICE = 'compute.googleapis.com';
const PROJECT = '/compute/v1/projects/(?<project>[^/]+)';

/** The part of the Compute Engine API (v1) that finds machines and explains what is in their way. */
export function computeApi(context: GcpApiContext): readonly GcpOperation[] {
  const { inventory, pageLimit } = context;

  const listed = (call: GcpCall, kind: string, path: string, items: readonly object[]) => {
    const fits = parseFilter(call.query.get('filter') ?? '');
    const page = pageOf(items.filter(fits), call.query, pageLimit);
    return {
      kind: `compute#${kind}`,
      id: path,
      ...(page.items.length === 0 ? {} : { items: page.items }),
      ...(page.nextPageToken === undefined ? {} : { nextPageToken: page.nextPageToken }),
      selfLink: link(path),
    };
  };
  const operation = (
    action: string,
    path: string,
    permission: string,
    run: (call: GcpCall, path: string) => object,
  ): GcpOperation => ({
    method: 'GET',
    path: new RegExp(`^${PROJECT}${path}$`),
    action: `compute.${action}`,
    service: SERVICE,
    needs: (groups) => ({ permission: `compute.${permission}`, resource: resourceOf(groups) }),
    run: (call) => run(call, resourceOf(call.path)),
  });
  const zoneOf = (call: GcpCall): string => {
    const { zone = '' } = call.path;
    if (!inventory().zones.includes(zone)) throw faults.notFound(`projects/${call.project.id}/zones/${zone}`);
    return zone;
  };
  const instances = (call: GcpCall, zone?: string): readonly GcpInstance[] =>
    inventory().instances.filter((one) => one.project === call.project.id && (zone === undefined || one.zone === zone));
  const shape = (one: GcpInstance) => instanceShape(one);

  return [
    operation('projects.get', '', 'projects.get', (call) => projectShape(call.project)),
    operation('zones.list', '/zones', 'zones.list', (call, path) =>
      listed(
        call,
        'zoneList',
        `${path}/zones`,
        inventory().zones.map((zone) => zoneShape(call.project.id, zone)),
      ),
    ),
    operation('zones.get', '/zones/(?<zone>[^/]+)', 'zones.get', (call) => zoneShape(call.project.id, zoneOf(call))),
    operation('regions.list', '/regions', 'regions.list', (call, path) => {
      const regions = [...new Set(inventory().zones.map(regionOf))];
      const zonesOf = (region: string) => inventory().zones.filter((zone) => regionOf(zone) === region);
      return listed(
        call,
        'regionList',
        `${path}/regions`,
        regions.map((region) => regionShape(call.project.id, region, zonesOf(region))),
      );
    }),
    operation('instances.list', '/zones/(?<zone>[^/]+)/instances', 'instances.list', (call, path) =>
      listed(call, 'instanceList', `${path}/instances`, instances(call, zoneOf(call)).map(shape)),
    ),
    operation('instances.get', '/zones/(?<zone>[^/]+)/instances/(?<instance>[^/]+)', 'instances.get', (call, path) => {
      const { instance = '' } = call.path;
      const found = instances(call, zoneOf(call)).find((one) => one.name === instance || one.id === instance);
      if (found === undefined) throw faults.notFound(path);
      return shape(found);
    }),
    operation('instances.aggregatedList', '/aggregated/instances', 'instances.list', (call, path) => {
      const fits = parseFilter(call.query.get('filter') ?? '');
      const page = pageOf(
        instances(call).filter((one) => fits(shape(one))),
        call.query,
        pageLimit,
      );
      const places = inventory().zones.map((zone): readonly [string, object] => {
        const here = page.items.filter((one) => one.zone === zone);
        const scope = `zones/${zone}`;
        return [scope, here.length > 0 ? { instances: here.map(shape) } : { warning: nothingIn(scope) }];
      });
      return {
        kind: 'compute#instanceAggregatedList',
        id: `${path}/aggregated/instances`,
        items: Object.fromEntries(places),
        ...(page.nextPageToken === undefined ? {} : { nextPageToken: page.nextPageToken }),
        selfLink: link(`${path}/aggregated/instances`),
      };
    }),
    operation('firewalls.list', '/global/firewalls', 'firewalls.list', (call, path) => {
      const rules = inventory().firewalls.filter((rule) => rule.project === call.project.id);
      return listed(call, 'firewallList', `${path}/global/firewalls`, rules.map(firewallShape));
    }),
    operation('networks.list', '/global/networks', 'networks.list', (call, path) => {
      const networks = inventory().networks.filter((one) => one.project === call.project.id);
      return listed(call, 'networkList', `${path}/global/networks`, networks.map(networkShape));
    }),
  ];
}

function resourceOf({ project = '', zone, instance }: Readonly<Record<string, string>>): string {
  const place = zone === undefined ? '' : `/zones/${zone}`;
  return `projects/${project}${place}${instance === undefined ? '' : `/instances/${instance}`}`;
}

const nothingIn = (scope: string) => ({
  code: 'NO_RESULTS_ON_PAGE',
  message: `There are no results for scope '${scope}' on this page.`,
  data: [{ key: 'scope', value: scope }],
});

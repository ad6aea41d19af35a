import { destGroupChanges, groupShape } from './dest-group-changes.ts';
import { faults } from './google-fault.ts';
import { type GcpApiContext, type GcpCall, type GcpOperation, SERVICE_TITLES } from './operation.ts';
import { pageOf } from './page.ts';

const TUNNEL = '/iap/v1/projects/(?<project>[^/]+)/iap_tunnel';
const SERVICE = 'iap.googleapis.com';

/** The part of the IAP admin API (v1) that is about tunnels, and the state of services. */
export function iapApi(context: GcpApiContext): readonly GcpOperation[] {
  const { inventory, pageLimit } = context;
  const groupsIn = (call: GcpCall) =>
    inventory().destGroups.filter(
      ({ project, region }) =>
        project === call.project.id && (call.path.location === '-' || region === call.path.location),
    );
  return [
    {
      method: 'GET',
      path: new RegExp(`^${TUNNEL}/locations/(?<location>[^/]+)/destGroups$`),
      action: 'iap.destGroups.list',
      service: SERVICE,
      needs: ({ project, location }) => ({
        permission: 'iap.tunnelDestGroups.list',
        resource: `projects/${project}/iap_tunnel/locations/${location}`,
      }),
      run: (call) => {
        const page = pageOf(groupsIn(call).map(groupShape), call.query, pageLimit);
        return {
          ...(page.items.length === 0 ? {} : { tunnelDestGroups: page.items }),
          ...(page.nextPageToken === undefined ? {} : { nextPageToken: page.nextPageToken }),
        };
      },
    },
    {
      method: 'GET',
      path: new RegExp(`^${TUNNEL}/locations/(?<location>[^/]+)/destGroups/(?<group>[^/:]+)$`),
      action: 'iap.destGroups.get',
      service: SERVICE,
      needs: ({ project, location, group }) => ({
        permission: 'iap.tunnelDestGroups.get',
        resource: `projects/${project}/iap_tunnel/locations/${location}/destGroups/${group}`,
      }),
      run: (call) => {
        const found = groupsIn(call).find((group) => group.name === call.path.group);
        if (found === undefined) throw faults.notFound(`destGroups/${call.path.group}`);
        return groupShape(found);
      },
    },
    ...destGroupChanges(context),
    {
      method: 'GET',
      path: /^\/serviceusage\/v1\/projects\/(?<project>[^/]+)\/services\/(?<name>[^/]+)$/,
      action: 'serviceusage.services.get',
      service: 'serviceusage.googleapis.com',
      needs: ({ project }) => ({ permission: 'serviceusage.services.get', resource: `projects/${project}` }),
      run: ({ project, path: { name = '' } }) => ({
        name: `projects/${project.number}/services/${name}`,
        config: { name, title: SERVICE_TITLES[name] ?? name },
        state: project.disabledServices.includes(name) ? 'DISABLED' : 'ENABLED',
        parent: `projects/${project.number}`,
      }),
    },
  ];
}

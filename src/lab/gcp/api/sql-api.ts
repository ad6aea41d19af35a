import { databasePort } from '../gcp-network.ts';
import type { GcpDatabase } from '../inventory.ts';
import { GoogleFault } from './google-fault.ts';
import { parseFilter } from './list-filter.ts';
import type { GcpApiContext, GcpCall, GcpOperation } from './operation.ts';
import { pageOf } from './page.ts';

const SERVICE = 'sqladmin.googleapis.com';

/** The part of the Cloud SQL Admin API (v1) that finds databases. */
export function sqlApi(context: GcpApiContext): readonly GcpOperation[] {
  const { inventory, pageLimit } = context;
  const databases = (call: GcpCall) => inventory().databases.filter((one) => one.project === call.project.id);
  const operation = (action: string, path: string, run: (call: GcpCall) => object): GcpOperation => ({
    method: 'GET',
    // The beta of this API, which gcloud uses, has /sql in its own path.
    path: new RegExp(`^/sql/(?:v1|sql/v1beta4)/projects/(?<project>[^/]+)/instances${path}$`),
    action: `sqladmin.instances.${action}`,
    service: SERVICE,
    needs: ({ project, instance }) => ({
      permission: `cloudsql.instances.${action}`,
      resource: `projects/${project}${instance === undefined ? '' : `/instances/${instance}`}`,
    }),
    run,
  });
  return [
    operation('list', '', (call) => {
      const fits = parseFilter(call.query.get('filter') ?? '');
      const page = pageOf(databases(call).map(databaseShape).filter(fits), call.query, pageLimit);
      return {
        kind: 'sql#instancesList',
        ...(page.items.length === 0 ? {} : { items: page.items }),
        ...(page.nextPageToken === undefined ? {} : { nextPageToken: page.nextPageToken }),
      };
    }),
    operation('get', '/(?<instance>[^/]+)', (call) => {
      const found = databases(call).find((one) => one.name === call.path.instance);
      if (found !== undefined) return databaseShape(found);
      // This API tells a stranger and a wrong name the same.
      throw new GoogleFault({
        code: 404,
        status: 'NOT_FOUND',
        reason: 'instanceDoesNotExist',
        message: 'The Cloud SQL instance does not exist.',
      });
    }),
  ];
}

function databaseShape(one: GcpDatabase): object {
  const network = `projects/${one.project}/global/networks/${one.network}`;
  return {
    kind: 'sql#instance',
    name: one.name,
    project: one.project,
    region: one.region,
    gceZone: one.zone,
    connectionName: `${one.project}:${one.region}:${one.name}`,
    databaseVersion: one.version,
    databaseInstalledVersion: `${one.version}_8`,
    instanceType: 'CLOUD_SQL_INSTANCE',
    backendType: 'SECOND_GEN',
    state: one.state,
    ipAddresses: [
      ...(one.publicIp === undefined ? [] : [{ type: 'PRIMARY', ipAddress: one.publicIp }]),
      ...(one.privateIp === undefined ? [] : [{ type: 'PRIVATE', ipAddress: one.privateIp }]),
    ],
    settings: {
      kind: 'sql#settings',
      tier: one.tier,
      edition: 'ENTERPRISE',
      availabilityType: 'ZONAL',
      activationPolicy: one.activationPolicy,
      userLabels: one.labels,
      dataDiskType: 'PD_SSD',
      dataDiskSizeGb: '10',
      settingsVersion: '3',
      ipConfiguration: {
        ipv4Enabled: one.publicIp !== undefined,
        ...(one.privateIp === undefined ? {} : { privateNetwork: network }),
        authorizedNetworks: [],
        sslMode: 'ALLOW_UNENCRYPTED_AND_ENCRYPTED',
      },
    },
    createTime: one.createdAt,
    etag: `lab-${databasePort(one.version)}`,
    selfLink: `https://sqladmin.googleapis.com/v1/projects/${one.project}/instances/${one.name}`,
  };
}

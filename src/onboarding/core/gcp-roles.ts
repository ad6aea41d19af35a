/**
 * What roles of Google Cloud contain, as far as tunnels, logins and the databases behind them need it (IAM role dump of August 2026; the
 * documentation page "iam/docs/understanding-roles"). A role that is not here is unknown and never taken for a grant.
 */

const LOGIN = ['compute.instances.osLogin', 'compute.instances.get', 'compute.instances.list', 'compute.projects.get'];
const VIEW_COMPUTE = [
  'compute.instances.get',
  'compute.instances.list',
  'compute.instances.getGuestAttributes',
  'compute.instances.getIamPolicy',
  'compute.projects.get',
  'compute.zones.get',
  'compute.zones.list',
  'compute.regions.list',
  'compute.firewalls.list',
  'compute.networks.list',
];
const VIEW_GROUPS = ['iap.tunnelDestGroups.get', 'iap.tunnelDestGroups.list'];

/** Role → permissions; a `*` at the end stands for the rest. */
const ROLES: Readonly<Record<string, readonly string[]>> = {
  'roles/owner': ['*'],
  'roles/viewer': [
    ...VIEW_COMPUTE,
    'cloudsql.instances.get',
    'cloudsql.instances.list',
    'resourcemanager.projects.get',
    'serviceusage.services.get',
    'serviceusage.services.list',
    'logging.logEntries.list',
  ],
  'roles/iap.tunnelResourceAccessor': ['iap.tunnelInstances.accessViaIAP', 'iap.tunnelDestGroups.accessViaIAP'],
  'roles/iap.tunnelDestGroupViewer': VIEW_GROUPS,
  'roles/iap.tunnelDestGroupEditor': [
    ...VIEW_GROUPS,
    'iap.tunnelDestGroups.create',
    'iap.tunnelDestGroups.update',
    'iap.tunnelDestGroups.delete',
  ],
  'roles/iap.admin': ['getIamPolicy', 'setIamPolicy'].flatMap((verb) =>
    ['tunnel', 'tunnelZones', 'tunnelInstances', 'tunnelLocations', 'tunnelDestGroups'].map(
      (kind) => `iap.${kind}.${verb}`,
    ),
  ),
  'roles/compute.osLogin': LOGIN,
  'roles/compute.osAdminLogin': [...LOGIN, 'compute.instances.osAdminLogin'],
  'roles/compute.osLoginExternalUser': ['compute.oslogin.updateExternalUser'],
  'roles/compute.viewer': VIEW_COMPUTE,
  'roles/compute.instanceAdmin.v1': [...VIEW_COMPUTE, 'compute.instances.*'],
  'roles/iam.serviceAccountUser': ['iam.serviceAccounts.actAs', 'iam.serviceAccounts.get', 'iam.serviceAccounts.list'],
  'roles/iam.serviceAccountTokenCreator': [
    'iam.serviceAccounts.getAccessToken',
    'iam.serviceAccounts.getOpenIdToken',
    'iam.serviceAccounts.signBlob',
    'iam.serviceAccounts.signJwt',
  ],
  'roles/cloudsql.client': ['cloudsql.instances.connect', 'cloudsql.instances.get'],
  'roles/cloudsql.instanceUser': [
    'cloudsql.instances.login',
    'cloudsql.instances.get',
    'cloudsql.instances.executeSql',
  ],
  'roles/cloudsql.viewer': ['cloudsql.instances.get', 'cloudsql.instances.list', 'cloudsql.instances.export'],
  'roles/secretmanager.secretAccessor': ['secretmanager.versions.access', 'resourcemanager.projects.get'],
  'roles/logging.logWriter': ['logging.logEntries.create', 'logging.logEntries.route'],
  'roles/logging.viewer': ['logging.logEntries.list', 'logging.logs.list', 'resourcemanager.projects.get'],
  'roles/logging.privateLogViewer': [
    'logging.logEntries.list',
    'logging.privateLogEntries.list',
    'logging.logs.list',
    'resourcemanager.projects.get',
  ],
  'roles/logging.viewAccessor': ['logging.views.access'],
  'roles/resourcemanager.projectIamAdmin': [
    'resourcemanager.projects.get',
    'resourcemanager.projects.getIamPolicy',
    'resourcemanager.projects.setIamPolicy',
  ],
  'roles/iam.roleAdmin': ['iam.roles.*', 'resourcemanager.projects.get'],
  'roles/serviceusage.serviceUsageViewer': ['serviceusage.services.get', 'serviceusage.services.list'],
};

/** `projects/P/roles/NAME` or `organizations/O/roles/NAME` → its permissions. */
export type CustomRoles = Readonly<Record<string, readonly string[]>>;

/** Whether a role contains a permission; `unknown`: nobody here knows the role. */
export function roleHas(role: string, permission: string, custom: CustomRoles): 'yes' | 'no' | 'unknown' {
  const known = Object.hasOwn(custom, role) ? custom[role] : Object.hasOwn(ROLES, role) ? ROLES[role] : undefined;
  if (known === undefined) return 'unknown';
  const fits = (one: string) => (one.endsWith('*') ? permission.startsWith(one.slice(0, -1)) : one === permission);
  return known.some(fits) ? 'yes' : 'no';
}

import type { Grant } from '../../../domain/grant.ts';
import { isoSeconds } from '../../../domain/iso-day.ts';
import type { Millis } from '../../../domain/millis.ts';
import { pinnedName } from '../../../domain/pinned-name.ts';
import type { GcpFacts, SubjectFacts } from './facts.ts';

/** One member with one role on one resource under one condition: what cloudtun adds and takes away. */
export interface OwnBinding {
  /** `projects/P/iap_tunnel/zones/Z/instances/I`, `projects/P`, `projects/P/secrets/S` … */
  readonly resource: string;
  readonly role: string;
  /** `group:readers@example.com` */
  readonly member: string;
  readonly condition: { readonly title: string; readonly expression: string };
}

export const ACCESSOR = 'roles/iap.tunnelResourceAccessor';

/** Where a binding for a way is set: on the machine or the group, never by `resource.name`, which the service does not know (iam.md 4.5). */
export function tunnelResource({ project, way }: SubjectFacts): string {
  return way.kind === 'instance'
    ? `projects/${project}/iap_tunnel/zones/${way.zone}/instances/${way.instance}`
    : `projects/${project}/iap_tunnel/locations/${way.region}/destGroups/${way.group}`;
}

/** An address in a group that holds others too is said as well; a name is resolved by the service, and cannot be. */
const isAddress = (host: string) => /^[0-9.]+$|:/.test(host);

/** The bindings of one grant. @param title marks what is ours */
export function grantBindings(grant: Grant, facts: SubjectFacts, title: string): readonly OwnBinding[] {
  const { principal, until } = grant;
  const { project, way, port, sqlInstance, secret } = facts;
  const member = `${principal.kind}:${principal.name}`;
  const time = inTime(until);
  const when = (...terms: readonly string[]) => ({ title, expression: [...terms, ...time].join(' && ') || 'true' });
  const tunnel: OwnBinding = {
    resource: tunnelResource(facts),
    role: ACCESSOR,
    member,
    condition: when(
      `destination.port == ${port}`,
      ...(way.kind === 'group' && !way.isOurs && isAddress(way.host) ? [`destination.ip == "${way.host}"`] : []),
    ),
  };
  return [
    tunnel,
    ...(grant.verb !== 'connect' || facts.isBehindLogin ? loginBindings(facts, member, when()) : []),
    ...(grant.verb === 'connect' && grant.subject.iamAuth && sqlInstance !== undefined
      ? ['roles/cloudsql.client', 'roles/cloudsql.instanceUser'].map((role) => ({
          resource: `projects/${project}`,
          role,
          member,
          condition: when(`resource.name == "projects/${project}/instances/${sqlInstance}"`),
        }))
      : []),
    ...(grant.verb === 'connect' && secret !== undefined
      ? [
          {
            resource: secret.startsWith('projects/') ? secret : `projects/${project}/secrets/${secret}`,
            role: 'roles/secretmanager.secretAccessor',
            member,
            condition: when(),
          },
        ]
      : []),
  ];
}

/** A login by OS Login to the machine, which for the machine is a person with a shell. */
function loginBindings(
  { project, way }: SubjectFacts,
  member: string,
  condition: OwnBinding['condition'],
): readonly OwnBinding[] {
  if (way.kind !== 'instance') return [];
  return [
    {
      resource: `projects/${project}/zones/${way.zone}/instances/${way.instance}`,
      role: 'roles/compute.osLogin',
      member,
      condition,
    },
    ...(way.serviceAccount === undefined
      ? []
      : [
          {
            resource: `projects/${project}/serviceAccounts/${way.serviceAccount}`,
            role: 'roles/iam.serviceAccountUser',
            member,
            condition,
          },
        ]),
  ];
}

/** The end of a grant as a term of a condition. */
export function inTime(until: Millis | undefined): readonly string[] {
  return until === undefined ? [] : [`request.time < timestamp("${isoSeconds(until)}")`];
}

/** Unique in its project: another expression under the same title is the same binding, changed. */
export const bindingId = ({ resource, role, member, condition }: OwnBinding, { project }: Pick<GcpFacts, 'project'>) =>
  `${project}/binding/${resource}/${role}/${member}/${condition.title}`;

/** For people: `group:readers@example.com iap.tunnelResourceAccessor on instances/web-1, port 80`. */
export function bindingSummary({ resource, role, member, condition }: OwnBinding): string {
  const port = /destination\.port == (\d+)/.exec(condition.expression)?.[1];
  const where = resource.split('/').slice(-2).join('/');
  return `${member} ${role.split('/').at(-1)} on ${where}${port === undefined ? '' : `, port ${port}`}`;
}

/** What a group of ours for a subject is called: `cloudtun-shop`. */
export const ownGroupName = (name: string) =>
  pinnedName(name, 'connect')
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]/g, '-')
    .slice(0, 63);

import { createHash } from 'node:crypto';
import type { Grant, Principal } from '../../../domain/grant.ts';
import { isoSeconds } from '../../../domain/iso-day.ts';
import type { Millis } from '../../../domain/millis.ts';
import { OWN_PREFIX, pinnedName } from '../../../domain/pinned-name.ts';
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

/** Addresses have no case, and what is compared is text. */
export const memberOf = ({ kind, name }: Principal) =>
  `${kind}:${/^[^\s@]+@[^\s@]+$/.test(name) ? name.toLowerCase() : name}`;

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
  const member = memberOf(principal);
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
            resource: secretResource(secret, project),
            role: 'roles/secretmanager.secretAccessor',
            member,
            condition: when(),
          },
        ]
      : []),
  ];
}

/** A secret, and not the one version of it that the catalogue may name: policies are on secrets. */
const secretResource = (secret: string, project: string) =>
  secret.startsWith('projects/') ? secret.replace(/\/versions\/[^/]+$/, '') : `projects/${project}/secrets/${secret}`;

/** A machine may run as an account of another project; accounts that Google makes for a project are of that project. */
export function accountResource(email: string, project: string): string {
  const [, own = project] = /@([^.]+)\.iam\.gserviceaccount\.com$/.exec(email) ?? [];
  return `projects/${own}/serviceAccounts/${email}`;
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
            resource: accountResource(way.serviceAccount, project),
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

const TIME = 'request\\.time < timestamp\\("[0-9TZ:.-]+"\\)';
const PLACE =
  '(?:destination\\.port == [0-9]+(?: && destination\\.ip == "[0-9a-fA-F.:]+")?|resource\\.name == "[^"]+")';
const OWN_CONDITION = new RegExp(`^(?:true|${TIME}|${PLACE}(?: && ${TIME})?)$`);

/** Whether a condition is one that `grantBindings` writes, for some grant; anything else under our title is another hand's. */
export const isOwnCondition = (expression: string): boolean => OWN_CONDITION.test(expression);

/** Unique in its project: another expression under the same title is the same binding, changed. */
export const bindingId = ({ resource, role, member, condition }: OwnBinding, { project }: Pick<GcpFacts, 'project'>) =>
  `${project}/binding/${resource}/${role}/${member}/${condition.title}`;

/** For people: `group:readers@example.com iap.tunnelResourceAccessor on instances/web-1, port 80`. */
export function bindingSummary({ resource, role, member, condition }: OwnBinding): string {
  const port = /destination\.port == (\d+)/.exec(condition.expression)?.[1];
  const where = resource.split('/').slice(-2).join('/');
  return `${member} ${role.split('/').at(-1)} on ${where}${port === undefined ? '' : `, port ${port}`}`;
}

const GROUP_NAME_LIMIT = 63;
const DIGEST_LENGTH = 8;

/**
 * What a group of ours for a subject is called: `cloudtun-shop`. Groups are called by lower-case letters and dashes alone
 * ("iap/docs/reference/rest/v1/projects.iap_tunnel.locations.destGroups"), so a name that has anything else carries letters made of its
 * digest: two targets never share a group by their names.
 */
export function ownGroupName(name: string): string {
  const whole = pinnedName(name, 'connect');
  if (/^[a-z-]+$/.test(whole) && whole === `${OWN_PREFIX}${name}` && whole.length <= GROUP_NAME_LIMIT) return whole;
  const digest = [...createHash('sha256').update(name).digest().subarray(0, DIGEST_LENGTH)]
    .map((byte) => String.fromCharCode(97 + (byte % 26)))
    .join('');
  const readable = whole
    .toLowerCase()
    .replaceAll(/[^a-z]+/g, '-')
    .slice(0, GROUP_NAME_LIMIT - DIGEST_LENGTH - 1)
    .replace(/-+$/, '');
  return `${readable}-${digest}`;
}

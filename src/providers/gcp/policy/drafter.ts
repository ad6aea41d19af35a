import { CloudtunError } from '../../../domain/errors.ts';
import type { Grant } from '../../../domain/grant.ts';
import { isoDay } from '../../../domain/iso-day.ts';
import type {
  JsonValue,
  PolicyDraft,
  PolicyDrafter,
  PolicyFacts,
  PolicyNotice,
  PolicyResource,
} from '../../policy-author.ts';
import { gcpAttempts } from './attempts.ts';
import { bindingId, bindingSummary, grantBindings, inTime, memberOf, type OwnBinding } from './bindings.ts';
import { assumedFacts, type GcpFacts, type SubjectFacts, subjectKey } from './facts.ts';
import { gcpFiles } from './files.ts';
import { judgeGcp } from './judge.ts';
import { checkLimits } from './limits.ts';

/** "iam/quotas": a title has 100 characters, an expression twelve logical operators. */
const TITLE_LIMIT = 100;

/** What the custom role holds: what cloudtun asks on the way to a tunnel, and nothing else. */
export const VIEWER_PERMISSIONS = [
  'cloudsql.instances.get',
  'cloudsql.instances.list',
  'compute.firewalls.list',
  'compute.instances.get',
  'compute.instances.getGuestAttributes',
  'compute.instances.list',
  'compute.projects.get',
  'iap.tunnelDestGroups.get',
  'iap.tunnelDestGroups.list',
];

/** The facts are those of this file's own kind: `assume` and the author make them. */
export const asGcpFacts = (facts: PolicyFacts) => facts as GcpFacts;

/** What the titles of our conditions begin with: bindings have no labels to be known by. */
export const ownTitle = (owner: string) => `cloudtun/${owner}/`;

/** The pure half of the permissions of Google Cloud: conditional bindings, destination groups, a small role to look things up. */
export const gcpPolicyDrafter: PolicyDrafter = {
  assume: assumedFacts,
  draft: (grants, facts, owner) => draftGcp(grants, asGcpFacts(facts), owner),
  attempts: (grants, facts) => gcpAttempts(grants, asGcpFacts(facts)),
  judge: (draft, facts, person, attempt, options) => judgeGcp(draft, asGcpFacts(facts), person, attempt, options),
  files: gcpFiles,
};

function draftGcp(grants: readonly Grant[], facts: GcpFacts, owner: string): PolicyDraft {
  const groups = groupResources(grants, facts);
  const role = grants.length === 0 ? [] : [viewerRole(facts, owner)];
  const bindings = new Map<string, PolicyResource>();
  for (const grant of grants) {
    const found = factsOf(grant, facts);
    const title = titleOf(owner, grant);
    const tail = grant.until === undefined ? '' : `, until ${isoDay(grant.until)}`;
    const viewer: OwnBinding = {
      resource: `projects/${found.project}`,
      role: viewerName(found.project, owner),
      member: memberOf(grant.principal),
      condition: {
        title: `${ownTitle(owner)}${grant.team}`.slice(0, TITLE_LIMIT),
        expression: inTime(grant.until).join('') || 'true',
      },
    };
    const after = [...role, ...groups].map(({ id }) => id);
    for (const binding of [...grantBindings(grant, found, title), viewer]) {
      const resource = bindingResource(binding, grant, tail, facts, after);
      bindings.set(resource.id, resource);
    }
  }
  const resources = [...role, ...groups, ...bindings.values()];
  checkLimits(resources);
  return {
    cloud: 'gcp',
    place: `Google Cloud ${facts.project}${facts.isAssumed ? ' (assumed)' : ''}`,
    scope: facts.project,
    owner,
    resources,
    notices: [
      ...grants.flatMap((grant) => grantNotices(grant, factsOf(grant, facts))),
      ...teamNotices(grants),
      ...logNotices(grants, facts),
    ],
  };
}

/** `cloudtun/shop/readers/prod` */
function titleOf(owner: string, { team, verb, subject }: Grant): string {
  const thing = verb === 'connect' ? subject.name : `${verb} ${subject.name}`;
  const title = `${ownTitle(owner)}${team}/${thing}`;
  if (title.length <= TITLE_LIMIT) return title;
  throw new CloudtunError('CT_CONFIG', `the title of a condition has ${title.length} characters: ${title}`, {
    hint: `Google Cloud takes ${TITLE_LIMIT}: shorten the names of the team or the target`,
  });
}

/** A custom role's id has letters, digits, dots and underscores. */
export const viewerName = (project: string, owner: string) =>
  `projects/${project}/roles/cloudtun_${owner.replaceAll('-', '_')}_viewer`;

function viewerRole({ project }: GcpFacts, owner: string): PolicyResource {
  const name = viewerName(project, owner);
  return {
    id: `${project}/role/${name.split('/').at(-1)}`,
    kind: 'role',
    name: name.split('/').at(-1)!,
    summary: `${VIEWER_PERMISSIONS.length} permissions to look targets up`,
    content: {
      name,
      title: 'cloudtun viewer',
      description: `cloudtun/${owner}: what finding a tunnel's way needs`,
      permissions: VIEWER_PERMISSIONS,
    },
    after: [],
  };
}

function groupResources(grants: readonly Grant[], facts: GcpFacts): readonly PolicyResource[] {
  const found = new Map<string, PolicyResource>();
  for (const grant of grants) {
    const { project, way } = factsOf(grant, facts);
    if (way.kind !== 'group' || !way.isOurs) continue;
    const isName = !/^[0-9.]+$|:/.test(way.host);
    const entry = isName ? way.host : `${way.host}/${way.host.includes(':') ? 128 : 32}`;
    const id = `${project}/${way.region}/destGroup/${way.group}`;
    found.set(id, {
      id,
      kind: 'destination group',
      name: way.group,
      subject: grant.subject.name,
      summary: `${entry} in ${way.region}`,
      content: {
        name: `projects/${project}/iap_tunnel/locations/${way.region}/destGroups/${way.group}`,
        cidrs: isName ? [] : [entry],
        fqdns: isName ? [entry] : [],
      },
      after: [],
    });
  }
  return [...found.values()];
}

function bindingResource(
  binding: OwnBinding,
  { team, subject }: Grant,
  tail: string,
  facts: GcpFacts,
  after: readonly string[],
): PolicyResource {
  const { condition } = binding;
  return {
    id: bindingId(binding, facts),
    kind: 'binding',
    name: condition.title,
    team,
    subject: subject.name,
    summary: `${bindingSummary(binding)}${tail}`,
    content: binding as unknown as JsonValue,
    after,
  };
}

function grantNotices({ team, verb, subject }: Grant, facts: SubjectFacts): readonly PolicyNotice[] {
  const { label, isBehindLogin, way, hasOsLogin, remarks = [] } = facts;
  const notice = (level: PolicyNotice['level'], code: string, text: string): PolicyNotice => ({
    level,
    code,
    team,
    subject: subject.name,
    text,
  });
  const notices = remarks.map((text) => notice('remark', 'found', `${subject.name}: ${text}`));
  if (verb === 'socks')
    notices.push(
      notice(
        'loud',
        'open-host-document',
        `socks ${subject.name} is a login to ${label}: everything that it reaches, and a shell`,
      ),
    );
  if (verb === 'run' || verb === 'logs')
    notices.push(
      notice(
        'loud',
        'shell',
        `${verb} ${subject.name} is a login to ${label}: Google Cloud cannot limit it to one command`,
      ),
    );
  if (hasOsLogin === false)
    notices.push(
      notice(
        'warning',
        'no-os-login',
        `${label} does not use OS Login, so ${verb} ${subject.name} lets nobody in yet: set enable-oslogin=TRUE in its metadata`,
      ),
    );
  if (verb === 'connect' && isBehindLogin)
    notices.push(
      notice(
        'loud',
        'login-on-the-way',
        `${subject.name} lies behind ${label}: who goes there has a login to it; a destination group gives the one port instead`,
      ),
    );
  if (verb === 'connect' && way.kind === 'group' && !way.isOurs && !/^[0-9.]+$|:/.test(way.host))
    notices.push(
      notice(
        'warning',
        'group-of-many',
        `the group ${way.group} may hold more than ${way.host}, and a condition cannot name a host: the port is given in all of it`,
      ),
    );
  return notices;
}

function logNotices(grants: readonly Grant[], { isLogged, project }: GcpFacts): readonly PolicyNotice[] {
  if (isLogged !== false || grants.length === 0) return [];
  const text = `who reached what is not written down in ${project}: turn on Data Access logs (DATA_READ) of iap.googleapis.com`;
  return [{ level: 'remark', code: 'no-audit-log', text }];
}

function teamNotices(grants: readonly Grant[]): readonly PolicyNotice[] {
  return [...new Set(grants.map(({ team }) => team))].flatMap((team): readonly PolicyNotice[] => {
    const those = grants.filter((grant) => grant.team === team);
    return those.every(({ until }) => until === undefined)
      ? [{ level: 'warning', code: 'no-expiry', team, text: 'it has no end: give it an until' }]
      : [];
  });
}

/** @throws CT_INTERNAL for facts of other grants */
export function factsOf(grant: Grant, facts: GcpFacts): SubjectFacts {
  const found = facts.subjects[subjectKey(grant)];
  if (found !== undefined) return found;
  throw new CloudtunError('CT_INTERNAL', `nothing is known of ${grant.subject.name}, which ${grant.team} is given`);
}

import type { Grant, GrantVerb } from '../../../domain/grant.ts';
import type { AccessAttempt } from '../../policy-author.ts';
import { accountResource, tunnelResource } from './bindings.ts';
import { type GcpFacts, needsLogin, SSH_PORT, type SubjectFacts, subjectKey } from './facts.ts';

/** One permission on one resource. */
export interface GcpCall {
  readonly permission: string;
  readonly resource: string;
  readonly port?: number;
  /** Of the far end, where the service tells. */
  readonly ip?: string;
  readonly resourceName?: string;
}

export interface GcpAttempt extends AccessAttempt {
  readonly calls: readonly GcpCall[];
}

const tunnelPermission = ({ way }: SubjectFacts) =>
  way.kind === 'instance' ? 'iap.tunnelInstances.accessViaIAP' : 'iap.tunnelDestGroups.accessViaIAP';

/** Everything worth trying at what the grants are about. */
export function gcpAttempts(grants: readonly Grant[], facts: GcpFacts): readonly GcpAttempt[] {
  const given = [...new Map(grants.map((grant) => [`${grant.verb} ${grant.subject.name}`, grant])).values()];
  const all = given.flatMap((grant) => {
    const found = facts.subjects[subjectKey(grant)];
    return found === undefined ? [] : [useAttempt(grant, found), ...aroundAttempts(grant, found, given, facts)];
  });
  return [...new Map(all.map((each) => [each.id, each])).values()];
}

function tunnelCall(found: SubjectFacts, port: number): GcpCall {
  return {
    permission: tunnelPermission(found),
    resource: tunnelResource(found),
    port,
    ...(found.way.kind === 'group' && /^[0-9.]+$|:/.test(found.way.host) && { ip: found.way.host }),
  };
}

function loginCalls({ project, way }: SubjectFacts): readonly GcpCall[] {
  if (way.kind !== 'instance') return [];
  return [
    {
      permission: 'compute.instances.osLogin',
      resource: `projects/${project}/zones/${way.zone}/instances/${way.instance}`,
    },
    ...(way.serviceAccount === undefined
      ? []
      : [
          {
            permission: 'iam.serviceAccounts.actAs',
            resource: accountResource(way.serviceAccount, project),
          },
        ]),
  ];
}

function useAttempt(grant: Grant, found: SubjectFacts): GcpAttempt {
  const { verb, subject } = grant;
  const { label, port, project, sqlInstance } = found;
  const about: Record<GrantVerb, string> = {
    connect: `open ${subject.name} (port ${port} of ${found.way.kind === 'group' ? found.way.host : label})`,
    ssh: `log in to ${label}`,
    socks: `reach everything through ${label}`,
    run: `run commands on ${label}`,
    logs: `read the log ${subject.name} of ${label}`,
  };
  const name = sqlInstance === undefined ? undefined : `projects/${project}/instances/${sqlInstance}`;
  return {
    id: `${verb} ${subject.name}`,
    verb,
    subject: subject.name,
    text: about[verb],
    calls: [
      tunnelCall(found, port),
      ...(verb !== 'connect' || found.isBehindLogin ? loginCalls(found) : []),
      ...(verb === 'connect' && subject.iamAuth && name !== undefined
        ? ['cloudsql.instances.connect', 'cloudsql.instances.login'].map((permission) => ({
            permission,
            resource: name,
            resourceName: name,
          }))
        : []),
    ],
  };
}

/** Ways around one grant; what another grant of the same set gives is not one. */
function aroundAttempts(
  { subject }: Grant,
  found: SubjectFacts,
  given: readonly Grant[],
  facts: GcpFacts,
): readonly GcpAttempt[] {
  const { way, label, project } = found;
  const same = given.filter((grant) => {
    const other = facts.subjects[subjectKey(grant)];
    return other !== undefined && tunnelResource(other) === tunnelResource(found);
  });
  const ports = new Set(same.map((grant) => facts.subjects[subjectKey(grant)]!.port));
  const free = [SSH_PORT, 3_389, 80, 6_379].find((port) => !ports.has(port))!;
  const place = way.kind === 'instance' ? label : `the group ${way.group}`;
  const attempt = (id: string, text: string, ...calls: readonly GcpCall[]): GcpAttempt => ({
    id,
    subject: subject.name,
    text,
    calls,
  });
  const hasLogin = same.some(needsLogin);
  return [
    attempt(`another port of ${place}`, `open port ${free} of ${place}`, tunnelCall(found, free)),
    attempt(`permissions of ${place}`, `change who may reach ${place}`, {
      permission: way.kind === 'instance' ? 'iap.tunnelInstances.setIamPolicy' : 'iap.tunnelDestGroups.setIamPolicy',
      resource: tunnelResource(found),
    }),
    ...(way.kind === 'instance'
      ? [
          attempt(`another machine than ${label}`, `open port ${found.port} of another machine than ${label}`, {
            permission: 'iap.tunnelInstances.accessViaIAP',
            resource: `projects/${project}/iap_tunnel/zones/${way.zone}/instances/another-machine`,
            port: found.port,
          }),
          attempt(`metadata of ${label}`, `put keys or scripts into the metadata of ${label}`, {
            permission: 'compute.instances.setMetadata',
            resource: `projects/${project}/zones/${way.zone}/instances/${way.instance}`,
          }),
          attempt(`root on ${label}`, `become root on ${label}`, {
            permission: 'compute.instances.osAdminLogin',
            resource: `projects/${project}/zones/${way.zone}/instances/${way.instance}`,
          }),
          ...(hasLogin
            ? []
            : [attempt(`login to ${label}`, `log in to ${label}`, tunnelCall(found, SSH_PORT), ...loginCalls(found))]),
        ]
      : [
          attempt(`hosts of ${place}`, `put other hosts into ${place}`, {
            permission: 'iap.tunnelDestGroups.update',
            resource: tunnelResource(found),
          }),
        ]),
    attempt(`permissions of ${project}`, `change who may do what in ${project}`, {
      permission: 'resourcemanager.projects.setIamPolicy',
      resource: `projects/${project}`,
    }),
  ];
}

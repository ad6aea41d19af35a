import { isIP } from 'node:net';
import type { Grant } from '../../../domain/grant.ts';
import type { PolicyNotice } from '../../policy-author.ts';
import { type AwsFacts, subjectKey } from './facts.ts';
import { unionNotices } from './unions.ts';

/** What the agent never forwards to: metadata, name service, time (docs/protocol/ssm.md, "Limits and pitfalls"; iam.md 4.3, rule 7). */
const REFUSED = new Set([
  '169.254.169.254',
  '169.254.169.253',
  '169.254.169.123',
  '169.254.169.250',
  '169.254.169.251',
  'fd00:ec2::254',
  'fd00:ec2::253',
  'fd00:ec2::123',
  'localhost',
]);

/** Names that are kept out of the name service (RFC 6761, RFC 6762), and what is none: an empty or too long part. */
const UNKNOWN = /\.(example|invalid|test|local)\.?$|\.\.|^\.|[^.]{64}/;

/** What whoever signs a draft should know of it before. */
export function awsNotices(grants: readonly Grant[], facts: AwsFacts): readonly PolicyNotice[] {
  const all = [
    ...grants.flatMap((grant) => grantNotices(grant, facts)),
    ...[...new Set(grants.map(({ team }) => team))].flatMap((team) => teamNotices(team, grants, facts)),
    ...unionNotices(grants, facts),
  ];
  // A team with several principals is said once.
  return [...new Map(all.map((notice) => [JSON.stringify(notice), notice])).values()];
}

function grantNotices(grant: Grant, facts: AwsFacts): readonly PolicyNotice[] {
  const { team, verb, subject } = grant;
  const found = facts.subjects[subjectKey(grant)];
  if (found === undefined) return [];
  const notice = (level: PolicyNotice['level'], code: string, text: string): PolicyNotice => ({
    level,
    code,
    team,
    subject: subject.name,
    text,
  });
  const { machineLabel, to, remarks = [] } = found;
  const notices: PolicyNotice[] = remarks.map((text) => notice('remark', 'found', `${subject.name}: ${text}`));
  if (verb === 'socks')
    notices.push(
      notice(
        'loud',
        'open-host-document',
        `socks ${subject.name} opens every host and port that ${machineLabel} reaches, not one`,
      ),
    );
  if (verb === 'run')
    notices.push(
      notice('loud', 'shell', `run ${subject.name} is a shell on ${machineLabel}: any command, as ssm-user`),
    );
  if (verb === 'ssh' && found.osUser === undefined)
    notices.push(
      notice('warning', 'os-user', `ssh ${subject.name} lets in ec2-user: name another with user: in its target`),
    );
  if (verb === 'connect' && subject.iamAuth && subject.user === undefined)
    notices.push(
      notice('warning', 'no-database-user', `${subject.name} has iamAuth and no user, so no login is given`),
    );
  if (verb === 'connect' && (subject.hops?.length ?? 0) > 0)
    notices.push(
      notice(
        'loud',
        'login-on-the-way',
        `${subject.name} is behind ${subject.hops!.join(', ')}: the login on the way takes a document that the team is denied, so nobody gets there with this grant; lead the way through one machine`,
      ),
    );
  const host = to?.host?.toLowerCase();
  if (host !== undefined && (REFUSED.has(host) || /^127\.|^::1$/.test(host)))
    notices.push(notice('warning', 'agent-refuses', `the agent does not forward to ${host}: nobody will get there`));
  if (host !== undefined && UNKNOWN.test(host))
    notices.push(notice('warning', 'unresolvable', `no name service of a network knows ${host}`));
  else if (host !== undefined && isIP(host) === 0 && !host.includes('.'))
    notices.push(notice('remark', 'short-name', `${host} is looked up by ${machineLabel}, in its own search domain`));
  return notices;
}

function teamNotices(team: string, all: readonly Grant[], facts: AwsFacts): readonly PolicyNotice[] {
  const grants = all.filter((grant) => grant.team === team);
  const notices: PolicyNotice[] = [];
  if (grants.every(({ until }) => until === undefined))
    notices.push({ level: 'warning', code: 'no-expiry', team, text: 'it has no end: give it an until' });
  const kinds = new Set(grants.map(({ principal }) => principal.kind));
  if (kinds.has('role') || kinds.has('permissionSet'))
    notices.push({
      level: 'remark',
      code: 'session-names',
      team,
      text: `own data channels are told apart by \${aws:userid} and by the tag of the session; for roles, AWS does not document which of them counts`,
    });
  const tags = new Set(
    grants.flatMap((grant) => {
      const machine = facts.subjects[subjectKey(grant)]?.machine;
      return machine?.kind === 'tag' ? [machine.key] : [];
    }),
  );
  for (const tag of tags)
    notices.push({
      level: 'remark',
      code: 'self-service-tag',
      team,
      text: `whoever may tag machines with ${tag} decides what is a bastion; the team itself may not`,
    });
  return notices;
}

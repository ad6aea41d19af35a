import { CloudtunError } from '../../../domain/errors.ts';
import type { Grant, Principal } from '../../../domain/grant.ts';
import { isoDay } from '../../../domain/iso-day.ts';
import { OWN_PREFIX, pinnedName } from '../../../domain/pinned-name.ts';
import type { PolicyDraft, PolicyDrafter, PolicyFacts, PolicyResource } from '../../policy-author.ts';
import { awsAttempts } from './attempts.ts';
import { DOCUMENT_LIMIT, documentContent, documentSummary } from './documents.ts';
import { type AwsFacts, assumedFacts, subjectKey } from './facts.ts';
import { awsFiles } from './files.ts';
import { judgeAws } from './judge.ts';
import { type AttachmentContent, OWNER_TAG, SUBJECT_TAG, TEAM_TAG, tagValue } from './marks.ts';
import { awsNotices } from './notices.ts';
import { ATTACHMENT_LIMIT, POLICY_LIMIT, policyName, policySize, splitPolicy } from './policies.ts';
import { policyDocument, teamStatements } from './statements.ts';

/** The facts are those of this file's own kind: `assume` and the author make them. */
export const asAwsFacts = (facts: PolicyFacts) => facts as AwsFacts;

/** The pure half of the permissions of AWS: pinned documents, a policy for each team, and who has it. */
export const awsPolicyDrafter: PolicyDrafter = {
  assume: assumedFacts,
  draft: (grants, facts, owner) => draftAws(grants, asAwsFacts(facts), tagValue(owner)),
  attempts: (grants, facts) => awsAttempts(grants, asAwsFacts(facts)),
  judge: (draft, facts, person, attempt, options) => judgeAws(draft, asAwsFacts(facts), person, attempt, options),
  files: awsFiles,
};

function draftAws(grants: readonly Grant[], facts: AwsFacts, owner: string): PolicyDraft {
  const documents = documentResources(grants, facts, owner);
  const teams = Map.groupBy(grants, ({ team }) => team);
  const policies = [...teams].flatMap(([team, those]) => teamResources(team, those, facts, owner, documents, grants));
  checkAttachments(policies);
  checkNames(policies);
  const regions = new Set(documents.map(({ id }) => id.split('/')[1]));
  return {
    cloud: 'aws',
    place: `AWS ${facts.account} ${regions.size > 0 ? [...regions].join(', ') : facts.region}${facts.isAssumed ? ' (assumed)' : ''}`,
    scope: facts.account,
    owner,
    // What is done in Identity Center goes last: where another account administers it, everything else is done before that fails.
    resources: [...documents, ...policies.filter((each) => !isOfSet(each)), ...policies.filter(isOfSet)],
    notices: awsNotices(grants, facts),
  };
}

const isOfSet = ({ kind, content }: PolicyResource) =>
  kind === 'attachment' && (content as unknown as AttachmentContent).kind === 'permissionSet';

/** One document for each thing that is given, however many teams have it. */
function documentResources(grants: readonly Grant[], facts: AwsFacts, owner: string): readonly PolicyResource[] {
  const found = new Map<string, { resource: PolicyResource; subject: string }>();
  for (const grant of grants) {
    const subject = factsOf(grant, facts);
    const name = pinnedName(grant.subject.name, grant.verb);
    const id = `${facts.account}/${subject.region}/document/${name}`;
    const key = `${grant.verb} ${grant.subject.name}`;
    const known = found.get(id);
    if (known !== undefined && known.subject !== key) throw sameName(name, known.subject, key);
    if (known !== undefined) continue;
    const content = documentContent(grant, subject);
    const used = JSON.stringify(content).length;
    if (used > DOCUMENT_LIMIT) throw new CloudtunError('CT_POLICY_REFUSED', `the document ${name} is too large`);
    const resource: PolicyResource = {
      id,
      kind: 'document',
      name,
      subject: grant.subject.name,
      summary: documentSummary(grant, subject),
      content: { document: content, tags: { [OWNER_TAG]: owner, [SUBJECT_TAG]: tagValue(key) } },
      after: [],
      size: { used, limit: DOCUMENT_LIMIT, unit: 'characters' },
    };
    found.set(id, { resource, subject: key });
  }
  return [...found.values()].map(({ resource }) => resource);
}

function teamResources(
  team: string,
  grants: readonly Grant[],
  facts: AwsFacts,
  owner: string,
  documents: readonly PolicyResource[],
  all: readonly Grant[],
): readonly PolicyResource[] {
  const principals = [
    ...new Map(grants.map(({ principal }) => [`${principal.kind}/${principal.name}`, principal])).values(),
  ];
  const unlike = [...new Map(grants.map((grant) => [`${grant.verb} ${grant.subject.name}`, grant])).values()];
  const name = `${OWN_PREFIX}${team.replaceAll(/[^A-Za-z0-9_.-]+/g, '-')}`.slice(0, 120);
  const isOne = (kind: string, one: string) => principals.some((each) => each.kind === kind && each.name === one);
  const statements = teamStatements(unlike, facts, {
    hasUsers: principals.some(({ kind }) => kind === 'user'),
    hasRoles: principals.some(({ kind }) => kind !== 'user'),
    hasOtherLogins: all.some(({ verb, principal: { kind, name: one } }) => verb === 'ssh' && isOne(kind, one)),
  });
  const own = new Set(unlike.map((grant) => pinnedName(grant.subject.name, grant.verb)));
  const leansOn = documents.filter((each) => own.has(each.name)).map(({ id }) => id);
  return splitPolicy(name, statements).flatMap((part, index): readonly PolicyResource[] => {
    const policy: PolicyResource = {
      id: `${facts.account}/policy/${policyName(name, index)}`,
      kind: 'policy',
      name: policyName(name, index),
      team,
      summary: index === 0 ? summaryOf(unlike) : 'the rest of it',
      content: { policy: policyDocument(part), tags: { [OWNER_TAG]: owner, [TEAM_TAG]: tagValue(team) } },
      after: leansOn,
      size: { used: policySize(part), limit: POLICY_LIMIT, unit: 'characters' },
    };
    return [policy, ...principals.map((principal) => attachment(policy, principal, facts))];
  });
}

function attachment(policy: PolicyResource, principal: Principal, facts: AwsFacts): PolicyResource {
  const { kind, name } = principal;
  return {
    id: `${facts.account}/${kind}/${name}/${policy.name}`,
    kind: 'attachment',
    name: `${policy.name} to ${kind} ${name}`,
    ...(policy.team !== undefined && { team: policy.team }),
    summary: kind === 'permissionSet' ? 'by name, and provisioned to this account' : 'attached',
    content: { kind, name, policy: policy.name },
    after: [policy.id],
  };
}

/** `connect prod with its document alone; own sessions; login app_reader; until 2027-03-31`. */
function summaryOf(grants: readonly Grant[]): string {
  const things = grants.map(({ verb, subject }) => `${verb} ${subject.name}`).join(', ');
  const logins = [...new Set(grants.flatMap(({ subject }) => (subject.iamAuth && subject.user ? [subject.user] : [])))];
  const until = grants.find((grant) => grant.until !== undefined)?.until;
  return [
    `${things}, with their own documents only`,
    'own sessions',
    ...(logins.length > 0 ? [`rds-db:connect ${logins.join(', ')}`] : []),
    'no shell, other document, command, tag or document change',
    ...(until === undefined ? [] : [`until ${isoDay(until)}`]),
  ].join('; ');
}

/** `a b` and `a-b` would have one policy, and so would the second part of `a` and a team `a-2`. */
function checkNames(policies: readonly PolicyResource[]): void {
  const seen = new Map<string, PolicyResource>();
  for (const policy of policies.filter(({ kind }) => kind === 'policy')) {
    const other = seen.get(policy.id);
    if (other !== undefined) {
      throw new CloudtunError(
        'CT_CONFIG',
        `the teams "${other.team}" and "${policy.team}" would both have the policy ${policy.name}`,
        {
          hint: 'rename one of them in cloudtun.yaml',
        },
      );
    }
    seen.set(policy.id, policy);
  }
}

function checkAttachments(resources: readonly PolicyResource[]): void {
  const attached = resources.filter(({ kind }) => kind === 'attachment');
  const counts = Map.groupBy(attached, ({ id }) => id.split('/').slice(0, -1).join('/'));
  for (const [id, those] of counts) {
    if (those.length <= ATTACHMENT_LIMIT) continue;
    throw new CloudtunError(
      'CT_POLICY_REFUSED',
      `${id.split('/').slice(1).join(' ')} would have ${those.length} policies; ${ATTACHMENT_LIMIT} may be attached`,
      { hint: 'give it fewer targets, or use another role for some of them' },
    );
  }
}

/** @throws CT_INTERNAL for facts of other grants */
export function factsOf(grant: Grant, facts: AwsFacts) {
  const found = facts.subjects[subjectKey(grant)];
  if (found !== undefined) return found;
  throw new CloudtunError('CT_INTERNAL', `nothing is known of ${grant.subject.name}, which ${grant.team} is given`);
}

function sameName(name: string, one: string, two: string): CloudtunError {
  return new CloudtunError('CT_CONFIG', `"${one}" and "${two}" would both have the document ${name}`, {
    hint: 'rename one of them in cloudtun.yaml',
  });
}

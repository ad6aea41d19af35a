/**
 * What is drafted of random catalogues for AWS allows what they list and nothing else: by the judgements of `team check`, and call by call
 * by our evaluator and by an independent one (`@cloud-copilot/iam-simulate`, AGPL: in tests alone). What is expected is worked out here
 * from the catalogue, and not by the code that is tested.
 *
 * iam-simulate is not asked about `ec2:osuser`, a key that it looks up in another service than the one that has it, and throws; nor about
 * `ssmmessages:OpenDataChannel`, of which the data that it goes by says, as AWS's page does, that it has no resources (iam.md 4.1).
 *
 * One thing is allowed that no single grant lists, and no policy can prevent (iam.md 4.3, rule 2): a document that a principal may start on
 * one machine may be started on its others. It is expected here as such, and `team check` warns of it where it matters.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runSimulation } from '@cloud-copilot/iam-simulate';
import fc from 'fast-check';
import type { Catalogue } from '../../../src/config/catalogue.ts';
import type { Principal } from '../../../src/domain/grant.ts';
import { accessOf } from '../../../src/onboarding/access.ts';
import { evaluateIam } from '../../../src/onboarding/core/iam-evaluator.ts';
import { readIamPolicy } from '../../../src/onboarding/core/iam-policy.ts';
import { endOf, principalsOf } from '../../../src/onboarding/grants.ts';
import { teamPeople } from '../../../src/onboarding/people.ts';
import { type DraftedPart, draftTeams } from '../../../src/onboarding/team-plan.ts';
import { awsPolicyDrafter } from '../../../src/providers/aws/policy/drafter.ts';
import { RANDOM_AT, randomCatalogue } from '../../support/random-catalogue.ts';

const SEED = 20_270_115;
const JUDGED = 100;
const SIMULATED = 40;

const ACCOUNT = '000000000000';
const REGION = 'eu-west-1';

async function drafted(catalogue: Catalogue): Promise<DraftedPart | undefined> {
  const { parts } = await draftTeams(
    { catalogue, said: {} },
    () => ['profile'],
    async () => awsPolicyDrafter,
  );
  return parts.find(({ grants }) => grants.length > 0);
}

type Thing = readonly [verb: string, name: string];

/** The teams of a principal that have not ended. */
const teamsOf = (catalogue: Catalogue, { kind, name }: Principal) =>
  [...catalogue.teams.values()].filter(
    (entry) =>
      principalsOf(entry).some((one) => one.kind === kind && one.name === name) &&
      (entry.until === undefined || endOf(entry.until) > RANDOM_AT),
  );

/** What a principal is given on the day, by the catalogue's words alone. */
function givenTo(catalogue: Catalogue, principal: Principal): readonly Thing[] {
  return teamsOf(catalogue, principal).flatMap((entry) =>
    Object.entries(entry.may ?? {}).flatMap(([verb, names]) =>
      (names ?? []).flatMap((name) => (catalogue.groups.get(name) ?? [name]).map((one) => [verb, one] as const)),
    ),
  );
}

test(`team check finds what ${JUDGED} random catalogues list, and nothing else`, async (t) => {
  let [open, shut] = [0, 0];
  await fc.assert(
    fc.asyncProperty(randomCatalogue('aws'), async (catalogue) => {
      const part = await drafted(catalogue);
      if (part === undefined) return;
      for (const { person, attempt, decision } of await accessOf([part], teamPeople(catalogue), { at: RANDOM_AT })) {
        const ways = person.principals.filter((principal) =>
          givenTo(catalogue, principal).some(([verb, name]) => verb === attempt.verb && name === attempt.subject),
        );
        const expected = ways.length === 0 ? 'denied' : 'allowed';
        assert.equal(decision, expected, `${person.name}: ${attempt.id}`);
        if (decision === 'allowed') open += 1;
        else shut += 1;
      }
    }),
    { numRuns: JUDGED, seed: SEED },
  );
  t.diagnostic(`${open} allowed, ${shut} denied`);
  assert.ok(open > JUDGED && shut > JUDGED);
});

/** What machines and documents of the random catalogues are to AWS; the same names in `assumedFacts`. */
const MACHINES: Readonly<Record<string, { readonly arn: string; readonly tags: Readonly<Record<string, string>> }>> = {
  bastion: { arn: `arn:aws:ec2:${REGION}:${ACCOUNT}:instance/i-0bastion`, tags: {} },
  tagged: { arn: `arn:aws:ec2:${REGION}:${ACCOUNT}:instance/i-0any`, tags: { role: 'bastion' } },
  hybrid: { arn: `arn:aws:ssm:${REGION}:${ACCOUNT}:managed-instance/mi-0hybrid`, tags: {} },
};
/** Where each target and log of the random catalogues is started. */
const MACHINE_OF: Readonly<Record<string, string>> = {
  bastion: 'bastion',
  tagged: 'tagged',
  hybrid: 'hybrid',
  prod: 'bastion',
  admin: 'bastion',
  stock: 'tagged',
  app: 'bastion',
  orders: 'tagged',
};
const documentOf = ([verb, name]: Thing) =>
  `arn:aws:ssm:${REGION}:${ACCOUNT}:document/cloudtun-${name}${verb === 'connect' ? '' : `-${verb}`}`;
const EVERYTHING: readonly Thing[] = [
  ...['prod', 'stock', 'admin', 'hybrid'].map((name) => ['connect', name] as const),
  ...['ssh', 'socks', 'run'].flatMap((verb) => ['bastion', 'tagged', 'hybrid'].map((name) => [verb, name] as const)),
  ...['app', 'orders'].map((name) => ['logs', name] as const),
];
const FOREIGN_DOCUMENTS = [
  'AWS-StartSSHSession',
  'AWS-StartInteractiveCommand',
  'AWS-StartNonInteractiveCommand',
  'AWS-StartPortForwardingSession',
  'AWS-StartPortForwardingSessionToRemoteHost',
  'AWS-StartPortForwardingSessionToSocket',
]
  .map((name) => `arn:aws:ssm:${REGION}::document/${name}`)
  .concat([
    `arn:aws:ssm:${REGION}:${ACCOUNT}:document/SSM-SessionManagerRunShell`,
    `arn:aws:ssm:${REGION}:${ACCOUNT}:document/other`,
  ]);

/** One resource of one call, and whether it should be let through. */
interface Ask {
  readonly action: string;
  readonly resource: string;
  readonly context?: Readonly<Record<string, string | readonly string[]>>;
  readonly expected: boolean;
}

function asksOf(given: readonly Thing[], own: readonly string[], userId: string): readonly Ask[] {
  const has = (verb: string, name: string) => given.some(([one, two]) => one === verb && two === name);
  const checked = { 'ssm:SessionDocumentAccessCheck': 'true' };
  const machines = Object.entries(MACHINES).flatMap(([name, { arn, tags }]): readonly Ask[] => {
    const isOne = given.some(([, subject]) => MACHINE_OF[subject] === name);
    const tagged = Object.fromEntries(
      Object.entries(tags).flatMap(([key, value]) => [
        [`ssm:resourceTag/${key}`, value],
        [`aws:ResourceTag/${key}`, value],
      ]),
    );
    const login = (user: string) => ({ ...tagged, 'ec2:osuser': user });
    const osUser = name === 'tagged' ? 'ops' : 'ec2-user';
    const sessions: readonly Ask[] = [
      { action: 'ssm:StartSession', resource: arn, context: { ...checked, ...tagged }, expected: isOne },
      // Rule 1: a start that names no document is a shell.
      {
        action: 'ssm:StartSession',
        resource: arn,
        context: { 'ssm:SessionDocumentAccessCheck': 'false', ...tagged },
        expected: false,
      },
      { action: 'ssm:SendCommand', resource: arn, context: tagged, expected: false },
    ];
    // Nodes that are no instances have neither keys nor tags of EC2.
    if (name === 'hybrid') return sessions;
    const push = 'ec2-instance-connect:SendSSHPublicKey';
    return [
      ...sessions,
      { action: push, resource: arn, context: login(osUser), expected: has('ssh', name) },
      { action: push, resource: arn, context: login('root'), expected: false },
      {
        action: 'ec2:CreateTags',
        resource: arn,
        context: { 'aws:TagKeys': ['role'], 'aws:RequestTag/role': 'bastion' },
        expected: false,
      },
    ];
  });
  const documents = EVERYTHING.flatMap((thing): readonly Ask[] => [
    { action: 'ssm:StartSession', resource: documentOf(thing), context: checked, expected: has(...thing) },
    { action: 'ssm:UpdateDocument', resource: documentOf(thing), expected: false },
    { action: 'ssm:UpdateDocumentDefaultVersion', resource: documentOf(thing), expected: false },
  ]);
  const sessionOf = (name: string) => `arn:aws:ssm:${REGION}:${ACCOUNT}:session/${name}-0123456789abcdef0`;
  const owner = (id: string) => ({ 'ssm:resourceTag/aws:ssmmessages:session-id': id });
  const isAnybody = given.length > 0;
  return [
    ...machines,
    // A machine of somebody else, with the id of none of ours and without the tag.
    {
      action: 'ssm:StartSession',
      resource: `arn:aws:ec2:${REGION}:${ACCOUNT}:instance/i-0other`,
      context: checked,
      expected: false,
    },
    ...documents,
    ...FOREIGN_DOCUMENTS.map((resource) => ({
      action: 'ssm:StartSession',
      resource,
      context: checked,
      expected: false,
    })),
    {
      action: 'ssm:CreateDocument',
      resource: `arn:aws:ssm:${REGION}:${ACCOUNT}:document/cloudtun-new`,
      expected: false,
    },
    ...['prod', 'stock'].map((name) => ({
      action: 'rds-db:connect',
      resource: `arn:aws:rds-db:${REGION}:${ACCOUNT}:dbuser:db-of-${name === 'prod' ? 'orders-prod/app_reader' : 'stock/stock'}`,
      // Only one of the two has iamAuth.
      expected: name === 'prod' && has('connect', 'prod'),
    })),
    {
      action: 'rds-db:connect',
      resource: `arn:aws:rds-db:${REGION}:${ACCOUNT}:dbuser:db-of-orders-prod/admin`,
      expected: false,
    },
    ...own.map((name) => ({
      action: 'ssmmessages:OpenDataChannel',
      resource: sessionOf(name),
      context: owner(userId),
      expected: isAnybody,
    })),
    {
      action: 'ssmmessages:OpenDataChannel',
      resource: sessionOf('mallory'),
      context: owner('AROAOTHER:mallory'),
      expected: false,
    },
    ...own.map((name) => ({
      action: 'ssm:TerminateSession',
      resource: sessionOf(name),
      context: owner(userId),
      expected: isAnybody,
    })),
    {
      action: 'ssm:TerminateSession',
      resource: sessionOf('mallory'),
      context: owner('AROAOTHER:mallory'),
      expected: false,
    },
    {
      action: 'ssm:ResumeSession',
      resource: sessionOf('mallory'),
      context: owner('AROAOTHER:mallory'),
      expected: false,
    },
  ];
}

/** The policies that the draft attaches to a principal. */
function attached(
  { draft }: DraftedPart,
  { kind, name }: Principal,
): readonly { readonly name: string; readonly policy: object }[] {
  const names = draft.resources.flatMap((one) => {
    const said = one.content as { readonly kind?: string; readonly name?: string; readonly policy?: string };
    return one.kind === 'attachment' && said.kind === kind && said.name === name ? [said.policy] : [];
  });
  return draft.resources
    .filter((one) => one.kind === 'policy' && names.includes(one.name))
    .map((one) => ({ name: one.name, policy: (one.content as unknown as { readonly policy: object }).policy }));
}

function ours(policies: ReturnType<typeof attached>, ask: Ask, context: object): boolean {
  const identity = policies.map(({ name, policy }) => {
    const found = readIamPolicy(name, policy);
    assert.ok(found.ok, found.ok ? '' : found.problem);
    return found.policy;
  });
  const verdict = evaluateIam(
    { identity },
    { action: ask.action, resource: ask.resource, context: { ...context, ...ask.context } },
  );
  assert.notEqual(verdict.decision, 'unknown', `${ask.action} on ${ask.resource}`);
  return verdict.decision === 'allowed';
}

/** What the other evaluator cannot be asked; said at the top. */
const BEYOND_THEM = ['ec2-instance-connect:SendSSHPublicKey', 'ssmmessages:OpenDataChannel'];

async function theirs(
  policies: ReturnType<typeof attached>,
  ask: Ask,
  context: object,
  principal: string,
): Promise<boolean> {
  const result = await runSimulation(
    {
      identityPolicies: policies.map(({ name, policy }) => ({ name, policy })),
      serviceControlPolicies: [],
      resourceControlPolicies: [],
      request: {
        action: ask.action,
        principal,
        // It takes no document without an account, as those of AWS are written; the deny pack names them in every account.
        resource: { resource: ask.resource.replace('::document/', `:${ACCOUNT}:document/`), accountId: ACCOUNT },
        contextVariables: { ...context, ...ask.context } as Record<string, string | string[]>,
      },
    },
    {},
  );
  assert.ok(result.resultType === 'single', `${ask.action} on ${ask.resource}: ${JSON.stringify(result)}`);
  return result.overallResult === 'Allowed';
}

test(`two evaluators find in the policies of ${SIMULATED} random catalogues what these list, call by call`, async (t) => {
  const counts = { allowed: 0, denied: 0, byBoth: 0 };
  await fc.assert(
    fc.asyncProperty(randomCatalogue('aws'), async (catalogue) => {
      const part = await drafted(catalogue);
      if (part === undefined) return;
      const principals = new Map(
        part.grants.map(({ principal }) => [`${principal.kind} ${principal.name}`, principal]),
      );
      for (const principal of principals.values()) {
        const isUser = principal.kind === 'user';
        const [member] = teamsOf(catalogue, principal).flatMap(({ members = [] }) => members);
        const name = isUser ? principal.name : (member ?? 'nobody');
        const userId = isUser ? 'AIDAEXAMPLE' : `AROAEXAMPLE:${name}`;
        // Both forms of ids (iam.md 4.2).
        const own = [name, userId];
        const context = {
          'aws:userid': userId,
          'aws:CurrentTime': new Date(RANDOM_AT).toISOString(),
          ...(isUser && { 'aws:username': name }),
        };
        const arn = isUser
          ? `arn:aws:iam::${ACCOUNT}:user/${name}`
          : `arn:aws:sts::${ACCOUNT}:assumed-role/${principal.name}/${name}`;
        const policies = attached(part, principal);
        for (const ask of asksOf(givenTo(catalogue, principal), own, userId)) {
          const words = `${principal.kind} ${principal.name}: ${ask.action} on ${ask.resource} ${JSON.stringify(ask.context)}`;
          assert.equal(ours(policies, ask, context), ask.expected, words);
          counts[ask.expected ? 'allowed' : 'denied'] += 1;
          if (BEYOND_THEM.includes(ask.action)) continue;
          counts.byBoth += 1;
          assert.equal(await theirs(policies, ask, context, arn), ask.expected, `iam-simulate, ${words}`);
        }
      }
    }),
    { numRuns: SIMULATED, seed: SEED },
  );
  t.diagnostic(JSON.stringify(counts));
  assert.ok(counts.allowed > SIMULATED * 5 && counts.denied > SIMULATED * 50);
});

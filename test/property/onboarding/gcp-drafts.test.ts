/**
 * What is drafted of random catalogues for Google Cloud allows what they list and nothing else: by the judgements of `team check`, and
 * permission by permission by our evaluator. What is expected is worked out here from the catalogue, and not by the code that is tested.
 *
 * A login is a login: ssh, socks, run and logs of one machine, and a host behind it, take the same permissions, and each comes with any.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Catalogue } from '../../../src/config/catalogue.ts';
import type { Principal } from '../../../src/domain/grant.ts';
import { accessOf } from '../../../src/onboarding/access.ts';
import { checkTeams } from '../../../src/onboarding/check.ts';
import { evaluateGcp } from '../../../src/onboarding/core/gcp-evaluator.ts';
import { endOf, principalsOf } from '../../../src/onboarding/grants.ts';
import { type TeamPerson, teamPeople } from '../../../src/onboarding/people.ts';
import { type DraftedPart, draftTeams } from '../../../src/onboarding/team-plan.ts';
import { gcpPolicyDrafter } from '../../../src/providers/gcp/policy/drafter.ts';
import { RANDOM_AT, randomCatalogue } from '../../support/random-catalogue.ts';

const SEED = 20_270_116;
const CASES = 400;

const MACHINES = {
  web: { zone: 'europe-west1-b', instance: 'web-1', port: 8080 },
  db: { zone: 'europe-west1-c', instance: 'db-proxy', port: 5432 },
} as const;
type MachineName = keyof typeof MACHINES;

/** What a verb on a name takes: a port of a machine, or a login to it. */
function needOf(verb: string, name: string): string {
  if (verb === 'connect' && name !== 'inner') return `port ${name}`;
  return `login ${name === 'access' || name === 'inner' ? 'web' : name}`;
}

/** All that a person has on the day, by the catalogue's words alone. */
function needsOf(catalogue: Catalogue, { principals }: Pick<TeamPerson, 'principals'>): ReadonlySet<string> {
  const isOne = ({ kind, name }: Principal) => principals.some((one) => one.kind === kind && one.name === name);
  const teams = [...catalogue.teams.values()].filter(
    (entry) => principalsOf(entry).some(isOne) && (entry.until === undefined || endOf(entry.until) > RANDOM_AT),
  );
  return new Set(
    teams.flatMap((entry) =>
      Object.entries(entry.may ?? {}).flatMap(([verb, names]) =>
        (names ?? []).flatMap((name) => (catalogue.groups.get(name) ?? [name]).map((one) => needOf(verb, one))),
      ),
    ),
  );
}

async function drafted(catalogue: Catalogue) {
  return draftTeams(
    { catalogue, said: {} },
    () => ['project'],
    async () => gcpPolicyDrafter,
  );
}

interface Content {
  readonly resource: string;
  readonly role: string;
  readonly member: string;
  readonly condition: { readonly title: string; readonly expression: string };
}

/** One permission of a person, by the bindings of the draft and nothing else. */
function isAllowed(
  { draft }: DraftedPart,
  { name, principals }: TeamPerson,
  permission: string,
  resource: string,
  port?: number,
): boolean {
  const bindings = draft.resources
    .filter(({ kind }) => kind === 'binding')
    .map(({ content }) => content as unknown as Content);
  const policyOf = (at: string) =>
    bindings
      .filter((one) => one.resource === at)
      .map(({ role, member, condition }) => ({ role, members: [member], condition }));
  const groups = principals.filter(({ kind }) => kind === 'group').map((one) => one.name);
  const user = principals.find(({ kind }) => kind === 'user');
  const roles = draft.resources
    .filter(({ kind }) => kind === 'role')
    .map(({ content }) => content as unknown as { name: string; permissions: string[] });
  const custom = Object.fromEntries(roles.map((role) => [role.name, role.permissions]));
  const { decision } = evaluateGcp(policyOf, custom, {
    who: { email: user?.name ?? name, kind: 'user', groups },
    permission,
    resource,
    attributes: { time: RANDOM_AT, accessLevels: [], ...(port !== undefined && { destinationPort: port }) },
  });
  assert.notEqual(decision, 'unknown', `${permission} on ${resource}`);
  return decision === 'allowed';
}

test(`everything that ${CASES} random catalogues list is allowed, and nothing else`, async (t) => {
  const counts = { allowed: 0, denied: 0 };
  await fc.assert(
    fc.asyncProperty(randomCatalogue('gcp'), async (catalogue) => {
      const { parts, problems } = await drafted(catalogue);
      const people = teamPeople(catalogue);
      for (const { person, attempt, decision } of await accessOf(parts, people, { at: RANDOM_AT })) {
        const needs = needsOf(catalogue, person);
        const expected = attempt.verb !== undefined && needs.has(needOf(attempt.verb, attempt.subject));
        // A way around is one only for who has no login anyway.
        const isLogin = attempt.id.startsWith('login to ') && needs.has(`login ${attempt.subject}`);
        assert.equal(decision, expected || isLogin ? 'allowed' : 'denied', `${person.name}: ${attempt.id}`);
        counts[decision === 'allowed' ? 'allowed' : 'denied'] += 1;
      }
      const { findings } = await checkTeams({ catalogue, drafted: { parts, problems }, at: RANDOM_AT });
      const isShared = findings.some(({ code }) => code === 'one-principal');
      const wrong = findings.filter(({ code }) => code === 'more-than-listed');
      if (!isShared)
        assert.deepEqual(wrong, [], 'nobody has more than is listed, but for teams that are one principal');
    }),
    { numRuns: CASES, seed: SEED },
  );
  t.diagnostic(JSON.stringify(counts));
  assert.ok(counts.allowed > CASES && counts.denied > CASES * 10);
});

test(`permission by permission, of ${CASES} random catalogues`, async (t) => {
  let [yes, no] = [0, 0];
  await fc.assert(
    fc.asyncProperty(randomCatalogue('gcp'), async (catalogue) => {
      const { parts } = await drafted(catalogue);
      const part = parts.find(({ grants }) => grants.length > 0);
      if (part === undefined) return;
      for (const person of teamPeople(catalogue)) {
        const needs = needsOf(catalogue, person);
        const ask = (permission: string, resource: string, expected: boolean, port?: number) => {
          const words = `${person.name}: ${permission} on ${resource} port ${port}`;
          assert.equal(isAllowed(part, person, permission, resource, port), expected, words);
          if (expected) yes += 1;
          else no += 1;
        };
        for (const name of Object.keys(MACHINES) as MachineName[]) {
          const { zone, instance, port: own } = MACHINES[name];
          const tunnel = `projects/acme/iap_tunnel/zones/${zone}/instances/${instance}`;
          const machine = `projects/acme/zones/${zone}/instances/${instance}`;
          for (const port of [22, 80, 443, 5432, 8080]) {
            const expected = (port === own && needs.has(`port ${name}`)) || (port === 22 && needs.has(`login ${name}`));
            ask('iap.tunnelInstances.accessViaIAP', tunnel, expected, port);
          }
          ask('compute.instances.osLogin', machine, needs.has(`login ${name}`));
          ask('compute.instances.osAdminLogin', machine, false);
          ask('compute.instances.setMetadata', machine, false);
          ask('iap.tunnelInstances.setIamPolicy', tunnel, false);
        }
        ask(
          'iap.tunnelInstances.accessViaIAP',
          'projects/acme/iap_tunnel/zones/europe-west1-b/instances/other',
          false,
          22,
        );
        ask('iap.tunnelInstances.accessViaIAP', 'projects/acme/iap_tunnel/zones/europe-west1-b', false, 8080);
        ask('resourcemanager.projects.setIamPolicy', 'projects/acme', false);
        // What finding the way needs is given with anything, until it ends.
        ask('compute.instances.get', 'projects/acme', needs.size > 0);
      }
    }),
    { numRuns: CASES, seed: SEED + 1 },
  );
  t.diagnostic(`${yes} allowed, ${no} denied`);
  assert.ok(yes > CASES && no > CASES * 10);
});

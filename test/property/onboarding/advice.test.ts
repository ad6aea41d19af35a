/** The lines that `team check PERSON TARGET` proposes give what was asked for: applied to random catalogues, and judged again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseDocument } from 'yaml';
import { yamlLines } from '../../../src/config/yaml-lines.ts';
import type { GrantVerb } from '../../../src/domain/grant.ts';
import { accessAdvice } from '../../../src/onboarding/access-advice.ts';
import { checkTeams } from '../../../src/onboarding/check.ts';
import { findPerson, type TeamPerson, teamPeople } from '../../../src/onboarding/people.ts';
import { draftTeams } from '../../../src/onboarding/team-plan.ts';
import { PROVIDERS } from '../../../src/providers/registry.ts';
import { catalogueOf, RANDOM_AT, type RandomCloud, randomCatalogueText } from '../../support/random-catalogue.ts';

const SEED = 20_270_118;
const CASES = 60;

const THINGS = {
  aws: ['connect prod', 'connect stock', 'connect admin', 'ssh bastion', 'run tagged', 'socks bastion', 'logs app'],
  gcp: ['connect web', 'connect db', 'ssh web', 'run db', 'logs access'],
} as const;

const nobody = (name: string): TeamPerson => ({ name, isStandIn: false, teams: [], principals: [] });

async function mayDo(text: string, name: string, verb: GrantVerb, subject: string): Promise<string> {
  const catalogue = catalogueOf(text);
  const drafted = await draftTeams(
    { catalogue, said: {} },
    (cloud) => PROVIDERS[cloud].policy?.keys,
    async (cloud) => PROVIDERS[cloud].policy!.drafter(),
  );
  const somebody = findPerson(catalogue, name) ?? nobody(name);
  const { access } = await checkTeams({ catalogue, drafted, at: RANDOM_AT, somebody });
  return access.find(({ attempt }) => attempt.verb === verb && attempt.subject === subject)?.decision ?? 'denied';
}

for (const cloud of ['aws', 'gcp'] as const satisfies readonly RandomCloud[]) {
  test(`what is proposed gives what was asked for, in ${CASES} catalogues of ${cloud}`, async (t) => {
    let applied = 0;
    const asked = fc.record({
      text: randomCatalogueText(cloud),
      thing: fc.constantFrom(...THINGS[cloud]),
      who: fc.nat(),
    });
    await fc.assert(
      fc.asyncProperty(asked, async ({ text, thing, who }) => {
        const [verb, subject] = thing.split(' ') as [GrantVerb, string];
        const catalogue = catalogueOf(text);
        const people = [...teamPeople(catalogue), nobody('zoe@example.com')];
        const person = people[who % people.length]!;
        if ((await mayDo(text, person.name, verb, subject)) !== 'denied') return;
        for (const { path, value, text: words } of accessAdvice(catalogue, person, verb, subject, RANDOM_AT)) {
          const document = parseDocument(text);
          document.setIn(path, value);
          // Of a role without members AWS does not say which sessions are whose.
          const isKnown = (await mayDo(document.toString(), person.name, verb, subject)) !== 'denied';
          assert.ok(isKnown, `${person.name}, ${verb} ${subject}: ${words}\n${document.toString()}`);
          // What is printed says the same as what is set.
          const printed = parseDocument(yamlLines(path, value).join('\n'));
          assert.deepEqual(
            JSON.parse(JSON.stringify(printed.toJS())),
            path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value),
          );
          applied += 1;
        }
      }),
      { numRuns: CASES, seed: SEED },
    );
    t.diagnostic(`${applied} proposals applied`);
    assert.ok(applied > CASES / 4);
  });
}

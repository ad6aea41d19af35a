import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { checkLines } from '../../../src/cli/present/team-check-lines.ts';
import type { Catalogue } from '../../../src/config/catalogue.ts';
import { checkFiles } from '../../../src/config/check-files.ts';
import type { ProviderId } from '../../../src/domain/target.ts';
import { accessAnswer } from '../../../src/onboarding/access-answer.ts';
import { accessDifference } from '../../../src/onboarding/access-difference.ts';
import { checkTeams, type TeamCheck } from '../../../src/onboarding/check.ts';
import { concerns, isInScope } from '../../../src/onboarding/check-scope.ts';
import { findPerson, teamPeople } from '../../../src/onboarding/people.ts';
import { draftTeams } from '../../../src/onboarding/team-plan.ts';
import { type FakeRule, fakeDrafter } from '../../support/fake-drafter.ts';

const TARGETS = `version: 1
targets:
  bastion: { aws: { instance: i-0b, profile: prod, region: eu-west-1 } }
  prod: { rds: orders-prod, via: bastion }
  staging: { rds: orders-staging, via: bastion }
  web: { gcp: { instance: web-1, project: acme, zone: z } }
groups: { dev: [prod, staging] }
logs: { app: { target: web, file: /var/log/app.log } }
`;

const AT = Date.parse('2027-01-15T12:00:00Z');

function catalogueOf(teams: string): Catalogue {
  const text = `${TARGETS}teams:\n${teams}`;
  const { catalogue, problems } = checkFiles([{ path: 'cloudtun.yaml', label: 'cloudtun.yaml', text }]);
  assert.ok(catalogue, JSON.stringify(problems));
  return catalogue;
}

const keysOf = (cloud: ProviderId) => (cloud === 'aws' ? (['profile'] as const) : (['project'] as const));

async function check(catalogue: Catalogue, rules: readonly FakeRule[] = [], at = AT): Promise<TeamCheck> {
  const drafted = await draftTeams({ catalogue, said: {} }, keysOf, async (cloud) =>
    fakeDrafter(rules, cloud === 'gcp'),
  );
  return checkTeams({ catalogue, drafted, at });
}

const codes = ({ findings }: TeamCheck) =>
  findings.map(({ level, code, subject }) => [level, code, ...(subject ? [subject] : [])].join(' '));
const open = ({ access }: TeamCheck) =>
  access.filter(({ decision }) => decision === 'allowed').map(({ person, attempt }) => `${person.name}: ${attempt.id}`);

const READERS =
  '  readers: { aws: { permissionSet: readers }, members: [alice@example.com], may: { connect: [prod] }, until: 2027-03-31 }\n';

suite('who may do what', () => {
  test('what is listed is open, and nothing else', async () => {
    const found = await check(catalogueOf(READERS));
    assert.deepEqual(open(found), ['alice@example.com: connect prod']);
    assert.deepEqual(codes(found), ['warning nobody staging', 'warning nobody web']);
  });

  test('an end is the end', async () => {
    const catalogue = catalogueOf(READERS);
    assert.deepEqual(open(await check(catalogue, [], Date.parse('2027-03-31T23:59:59Z'))), [
      'alice@example.com: connect prod',
    ]);
    const after = await check(catalogue, [], Date.parse('2027-04-01T00:00:00Z'));
    assert.deepEqual(open(after), []);
    assert.ok(codes(after).includes('warning ended'));
    assert.ok(!codes(after).some((code) => code.startsWith('finding')));
  });

  test('more than is listed is a finding, with the statement that gives it', async () => {
    const found = await check(catalogueOf(READERS), [{ effect: 'allow', principal: 'readers', attempt: 'shell prod' }]);
    const [first] = found.findings;
    assert.equal(first?.code, 'more-than-listed');
    assert.equal(first.text, 'alice@example.com can start a shell at prod, which is not listed: leak, statement One');
  });

  test('less than is listed is a finding', async () => {
    const found = await check(catalogueOf(READERS), [
      { effect: 'deny', principal: 'readers', attempt: 'connect prod' },
    ]);
    assert.deepEqual(codes(found).slice(0, 1), ['finding less-than-listed prod']);
  });

  test('what nobody can tell is not taken for a no', async () => {
    const rules: readonly FakeRule[] = [
      { effect: 'unknown', principal: 'readers', attempt: 'connect prod' },
      { effect: 'unknown', principal: 'readers', attempt: 'shell prod' },
    ];
    const found = await check(catalogueOf(READERS), rules);
    assert.deepEqual(codes(found).slice(0, 2), ['warning cannot-tell prod', 'warning cannot-tell prod']);
  });

  test('two teams that are one principal: members of either get what both are given', async () => {
    const found = await check(
      catalogueOf(
        `${READERS}  dba: { aws: { permissionSet: readers }, members: [bob@example.com], may: { ssh: [bastion] }, until: 2027-03-31 }\n`,
      ),
    );
    assert.deepEqual(codes(found).slice(0, 3), [
      'finding more-than-listed bastion',
      'finding more-than-listed prod',
      'warning one-principal',
    ]);
    assert.match(found.findings[1]!.text, /^bob@example\.com can connect prod/);
  });

  test('what takes the very same calls as something that is listed comes with it', async () => {
    const teams =
      '  r: { gcp: { group: r@example.com }, members: [alice@example.com], may: { logs: [app] }, until: 2027-03-31 }\n' +
      '  s: { gcp: { group: s@example.com }, members: [bob@example.com], may: { ssh: [web] }, until: 2027-03-31 }\n';
    const catalogue = catalogueOf(teams);
    const inner = fakeDrafter([{ effect: 'allow', principal: 'r@example.com', attempt: 'ssh web' }], true);
    const sameCalls = {
      ...inner,
      judge: (...question: Parameters<typeof inner.judge>) => {
        const found = inner.judge(...question);
        return { ...found, calls: found.calls.map((call) => ({ ...call, resource: 'web-1 port 22' })) };
      },
    };
    const drafted = await draftTeams({ catalogue, said: {} }, keysOf, async () => sameCalls);
    const found = await checkTeams({ catalogue, drafted, at: AT });
    assert.ok(codes(found).includes('warning comes-with web'), codes(found).join());
    assert.ok(!codes(found).some((code) => code.startsWith('finding')));
  });

  test('somebody in two teams may do what either may', async () => {
    const found = await check(
      catalogueOf(
        `${READERS}  dba: { aws: { role: dba }, gcp: { group: dba@example.com }, members: [alice@example.com], may: { ssh: [bastion, web] }, until: 2027-03-31 }\n`,
      ),
    );
    assert.deepEqual(open(found), [
      'alice@example.com: connect prod',
      'alice@example.com: ssh bastion',
      'alice@example.com: ssh web',
    ]);
    assert.ok(!codes(found).some((code) => code.startsWith('finding')), codes(found).join());
  });

  test('a team without members is whoever its principal is', async () => {
    const found = await check(catalogueOf('  r: { aws: { role: ops }, may: { connect: [dev] } }\n'));
    assert.deepEqual(open(found), ['ops: connect prod', 'ops: connect staging']);
    assert.ok(codes(found).includes('warning no-expiry'));
  });

  test('a team without members that is somebody in two clouds is two principals, each with its own', async () => {
    const found = await check(
      catalogueOf(
        '  r: { aws: { role: ops }, gcp: { group: ops@example.com }, may: { connect: [prod], ssh: [web] }, until: 2027-03-31 }\n',
      ),
    );
    assert.deepEqual(open(found), ['ops: connect prod', 'ops@example.com: ssh web']);
    assert.ok(!codes(found).some((code) => code.startsWith('finding')), codes(found).join());
  });

  test('given in a cloud where the team is nobody, by a user that is none of its members, under no address', async () => {
    const found = await check(
      catalogueOf(
        '  r: { aws: { user: carol }, members: [alice@example.com, "böb"], may: { connect: [prod], logs: [app] }, until: 2027-03-31 }\n' +
          '  s: { gcp: { group: readers }, members: [dan], may: { ssh: [web] }, until: 2027-03-31 }\n',
      ),
    );
    assert.deepEqual(codes(found), [
      'finding less-than-listed prod',
      'finding gives-nothing app',
      'warning member-form',
      'warning member-form',
      'warning member-form',
      'warning member-form',
      'warning nobody staging',
    ]);
    assert.match(found.findings[0]!.text, /^alice@example\.com, böb is listed.*none of its teams is anybody/);
    // The policy goes to Carol, whoever she is.
    assert.ok(open(found).includes('carol: connect prod'));
  });

  test('socks opens everything', async () => {
    const found = await check(
      catalogueOf('  r: { aws: { role: ops }, may: { socks: [bastion] }, until: 2027-03-31 }\n'),
    );
    assert.ok(codes(found).includes('warning open-host-document'));
  });

  test('people who are alike are judged once, with the same answer', async () => {
    const names = Array.from({ length: 50 }, (_, index) => `p${index}@example.com`).join(', ');
    const catalogue = catalogueOf(`  r: { aws: { role: r }, members: [${names}], may: { connect: [prod] } }\n`);
    const inner = fakeDrafter();
    let judged = 0;
    const drafter = {
      ...inner,
      judge: (...question: Parameters<typeof inner.judge>) => {
        judged++;
        return inner.judge(...question);
      },
    };
    const drafted = await draftTeams({ catalogue, said: {} }, keysOf, async () => drafter);
    const found = await checkTeams({ catalogue, drafted, at: AT });
    assert.equal(open(found).length, 50);
    assert.equal(judged, drafted.parts.flatMap((part) => drafter.attempts(part.grants, {})).length);
  });
});

suite('who is meant', () => {
  const catalogue = catalogueOf(
    '  readers: { aws: { permissionSet: Readers }, members: [alice@example.com, bob@example.com], may: { connect: [prod] } }\n' +
      '  others: { gcp: { group: g@example.com }, members: [bob@example.org, Alice@Example.com], may: { ssh: [web] } }\n' +
      '  single: { aws: { user: dave }, may: { connect: [prod] } }\n',
  );

  test('everybody once, however their address is written', () => {
    assert.deepEqual(
      teamPeople(catalogue).map(({ name, teams, isStandIn }) => `${name} ${teams.join('+')}${isStandIn ? '*' : ''}`),
      ['alice@example.com readers+others', 'bob@example.com readers', 'bob@example.org others', 'dave single*'],
    );
  });

  test('a whole address, its first part, a principal, a team; nobody', () => {
    assert.equal(findPerson(catalogue, 'ALICE')?.name, 'alice@example.com');
    assert.equal(findPerson(catalogue, 'bob@example.org')?.name, 'bob@example.org');
    assert.deepEqual(
      findPerson(catalogue, 'readers')?.principals.map(({ kind }) => kind),
      ['permissionSet'],
    );
    assert.deepEqual(
      findPerson(catalogue, 'others')?.principals.map(({ name }) => name),
      ['g@example.com'],
    );
    assert.equal(findPerson(catalogue, 'zoe'), undefined);
  });

  test('two of that name are asked back', () => {
    assert.throws(() => findPerson(catalogue, 'bob'), { code: 'CT_USAGE', message: /several people/ });
  });
});

suite('one question, one answer', () => {
  const ask = async (teams: string, who: string, what: string, rules: readonly FakeRule[] = [], at = AT) => {
    const catalogue = catalogueOf(teams);
    const person = findPerson(catalogue, who) ?? { name: who, isStandIn: false, teams: [], principals: [] };
    const drafted = await draftTeams({ catalogue, said: {} }, keysOf, async (cloud) =>
      fakeDrafter(rules, cloud === 'gcp'),
    );
    const { access, people, findings } = await checkTeams({ catalogue, drafted, at, somebody: person });
    const answer = accessAnswer(catalogue, person, what, access, { at });
    const scope = { person, subjects: [what] };
    const shown = {
      people,
      scope,
      access: access.filter((one) => isInScope(one, scope)),
      findings: findings.filter((one) => concerns(one, scope)),
      isAll: false,
      isVerbose: false,
      answers: [answer],
      other: undefined,
    };
    return { answer, lines: checkLines(shown) };
  };

  test('yes, by this grant and this statement', async () => {
    const { answer, lines } = await ask(READERS, 'alice', 'prod');
    assert.ok(answer.allowed);
    assert.deepEqual(lines, [
      'yes  alice@example.com may connect to prod until 2027-03-31',
      '       by       team readers: may: { connect: [prod] }',
      '       as       permission set readers in aws assumed',
      '       allowed  fake:Do  own: One',
    ]);
  });

  test('no: a team that has it takes a member', async () => {
    const { answer, lines } = await ask(READERS, 'zoe@example.com', 'prod');
    assert.ok(!answer.allowed);
    assert.deepEqual(lines, [
      'no   zoe@example.com may not connect to prod',
      '       because  no team of the catalogue has zoe@example.com',
      '',
      'team readers gives it until 2027-03-31: make zoe@example.com a member, in cloudtun.yaml:',
      '  teams:',
      '    readers:',
      '      members: [alice@example.com, zoe@example.com]',
      'and in the directory: zoe@example.com into permission set readers',
    ]);
  });

  test('no: it has ended', async () => {
    const { lines } = await ask(READERS, 'alice', 'prod', [], Date.parse('2027-05-02T10:00:00Z'));
    assert.match(lines.join('\n'), /because {2}team readers gave it until 2027-03-31/);
    assert.match(lines.join('\n'), / {6}until: 2027-07-31/);
  });

  test('no: a team of hers may be given it, and who else gets it is said', async () => {
    const teams = READERS.replace('[alice@example.com]', '[alice@example.com, bob@example.com]');
    const { lines } = await ask(teams, 'alice', 'staging');
    assert.match(lines.join('\n'), /give it to team readers \(bob@example\.com would get it too\)/);
    assert.match(lines.join('\n'), / {6}may:\n {8}connect: \[prod, staging\]/);
  });

  test('no: in a cloud where she is nobody, it takes a new team', async () => {
    const { lines } = await ask(READERS, 'alice', 'web');
    assert.match(lines.join('\n'), / {2}teams:\n {4}web-ssh:\n {6}gcp:\n {8}group: /);
  });
});

suite('what another catalogue means', () => {
  const word = (end: number | undefined) => (end === undefined ? 'never' : new Date(end).toISOString());
  const changes = async (before: string, after: string) => {
    const [one, two] = [await check(catalogueOf(before)), await check(catalogueOf(after))];
    return accessDifference(one.access, two.access, word).map(
      ({ kind, person, id, details }) =>
        `${kind} ${person} ${id}${details.map(({ what, before: was, after: is }) => ` ${what} ${was} > ${is}`).join('')}`,
    );
  };

  test('gained and lost', async () => {
    const after = READERS.replace('connect: [prod]', 'connect: [staging]').replace(
      'members: [',
      'members: [bob@example.com, ',
    );
    assert.deepEqual(await changes(READERS, after), [
      'gained bob@example.com connect staging',
      'gained alice@example.com connect staging',
      'lost alice@example.com connect prod',
    ]);
    assert.deepEqual(await changes(READERS, READERS), []);
  });

  test('another end, another principal', async () => {
    assert.deepEqual(await changes(READERS, READERS.replace(', until: 2027-03-31', '')), [
      'changed alice@example.com connect prod until 2027-04-01T00:00:00.000Z > never',
    ]);
    assert.deepEqual(await changes(READERS, READERS.replace('permissionSet: readers', 'role: r')), [
      'changed alice@example.com connect prod as permissionSet readers > role r',
    ]);
  });

  test('the same name, and another database behind it', async () => {
    const one = await check(catalogueOf(READERS));
    const text = `${TARGETS.replace('orders-prod', 'salaries')}teams:\n${READERS}`;
    const { catalogue } = checkFiles([{ path: 'c', label: 'c', text }]);
    const two = await check(catalogue!);
    const [change] = accessDifference(one.access, two.access, word);
    assert.deepEqual(change?.details, [
      { what: 'leads to', before: 'connect prod (orders-prod)', after: 'connect prod (salaries)' },
    ]);
  });
});

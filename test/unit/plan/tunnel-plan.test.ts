import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type Catalogue, completeTargets, NO_CATALOGUE } from '../../../src/config/catalogue.ts';
import { parseCatalogue } from '../../../src/config/parse.ts';
import {
  type PlanFlags,
  parsePort,
  planDatabase,
  planForward,
  planSocks,
  planSsh,
  type TunnelPlan,
} from '../../../src/plan/tunnel-plan.ts';

const REGION = 'ap-northeast-1';

const CATALOGUE = catalogue(`version: 1
defaults: { region: eu-west-1 }
targets:
  bastion:  { aws: { instance: "tag:role=bastion", profile: prod, region: ${REGION} } }
  other:    { aws: { instance: i-0other, profile: staging } }
  prod:     { rds: orders-prod, via: bastion, port: 13306, user: app_reader }
  plain:    { rds: orders }
  web:      { gcp: { instance: web-1 } }
  admin:    { host: admin.internal, hostPort: 80, via: bastion }
  reports:  { sql: reports, project: acme, region: asia-northeast1 }
`);
const EMPTY = catalogue('version: 1\n');

function catalogue(text: string): Catalogue {
  const { data, entries } = parseCatalogue(text, 'cloudtun.yaml');
  return {
    ...NO_CATALOGUE,
    files: ['cloudtun.yaml'],
    defaults: data.defaults ?? {},
    targets: completeTargets(entries),
  };
}

/** The local port of a plan's only rule. */
function portOf(plan: TunnelPlan, scope = REGION): number {
  const [rule] = plan.rules;
  assert.ok(rule && plan.rules.length === 1);
  return typeof rule.port === 'number' ? rule.port : rule.port({ id: 'aws', scope });
}

suite('rds', () => {
  test('a name that no catalogue knows goes to the cloud as it is', () => {
    const plan = planDatabase('rds', 'prod', { reason: 'INC-1' }, EMPTY);
    assert.deepEqual(plan.request, { kind: 'database', text: 'prod', reason: 'INC-1' });
    assert.deepEqual(plan.settings.selection, {});
    assert.equal(portOf(plan), portOf(planDatabase('rds', 'prod', {}, EMPTY)));
    assert.notEqual(portOf(plan), portOf(plan, 'eu-west-1'));
  });

  test('a catalogue name brings database, bastion, place, port and login', () => {
    const plan = planDatabase('rds', 'prod', {}, CATALOGUE);
    assert.deepEqual(plan.request, {
      kind: 'database',
      text: 'orders-prod',
      via: [{ written: 'tag:role=bastion', text: 'tag:role=bastion', cloud: 'aws' }],
    });
    assert.deepEqual(plan.settings.selection, { profile: 'prod', region: REGION });
    assert.equal(portOf(plan), 13_306);
    assert.equal(plan.user, 'app_reader');
  });

  test('--via may be a catalogue name, and gives the place where the target names none', () => {
    const plan = planDatabase('rds', 'orders', { via: ['other'] }, CATALOGUE);
    assert.deepEqual(plan.request.via, [{ written: 'i-0other', text: 'i-0other', cloud: 'aws' }]);
    assert.deepEqual(plan.settings.selection, { profile: 'staging', region: 'eu-west-1' });
    assert.throws(() => planDatabase('rds', 'orders', { via: ['prod'] }, CATALOGUE), { code: 'CT_CONFIG' });
  });

  test('--reader has a port of its own', () => {
    const writer = planDatabase('rds', 'plain', {}, CATALOGUE);
    const reader = planDatabase('rds', 'plain', { reader: true }, CATALOGUE);
    assert.equal(reader.request.kind === 'database' && reader.request.reader, true);
    assert.notEqual(portOf(reader), portOf(writer));
    assert.notEqual(portOf(planDatabase('rds', 'prod', { reader: true }, CATALOGUE)), 13_306);
  });

  test('--port stands over the catalogue', () => {
    assert.equal(portOf(planDatabase('rds', 'prod', { port: '4000' }, CATALOGUE)), 4_000);
    assert.equal(portOf(planDatabase('rds', 'prod', { port: 'auto' }, CATALOGUE)), 0);
  });

  test('a machine is no database, and the hint says how to reach it', () => {
    assert.throws(() => planDatabase('rds', 'bastion', {}, CATALOGUE), {
      code: 'CT_USAGE',
      message: '"bastion" of cloudtun.yaml is no database',
      hints: ['try: cloudtun forward bastion'],
    });
    assert.throws(() => planDatabase('sql', 'web', {}, CATALOGUE), { message: /is no database$/ });
  });
});

suite('sql', () => {
  test('is of Google Cloud, and the catalogue may give the whole name', () => {
    const plan = planDatabase('sql', 'reports', { via: ['gcp:bastion-g:5432'] }, CATALOGUE);
    assert.deepEqual(plan.request, {
      kind: 'database',
      text: 'acme:asia-northeast1:reports',
      via: [{ written: 'gcp:bastion-g:5432', cloud: 'gcp', text: 'bastion-g', port: 5432 }],
    });
    assert.equal(plan.cloud, 'gcp');
    assert.deepEqual(plan.settings.selection.project, 'acme');
    assert.equal(planDatabase('sql', 'gcp:reports', {}, EMPTY).request.text, 'reports');
  });

  test('its port is the same with and without a catalogue, and another one than on AWS', () => {
    const at = (plan: TunnelPlan, id: 'aws' | 'gcp', scope: string) => {
      const port = plan.rules[0]?.port;
      return typeof port === 'function' ? port({ id, scope }) : port;
    };
    const port = at(planDatabase('sql', 'reports', {}, EMPTY), 'gcp', 'acme');
    assert.equal(at(planDatabase('sql', 'reports', {}, CATALOGUE), 'gcp', 'elsewhere'), port);
    assert.notEqual(at(planDatabase('rds', 'reports', {}, EMPTY), 'aws', 'acme'), port);
    // Never changes from one version of cloudtun to the next.
    assert.equal(port, 27_053);
  });

  test('what is of the other cloud is refused, with the command for it', () => {
    assert.throws(() => planDatabase('sql', 'prod', {}, CATALOGUE), { hints: ['try: cloudtun rds prod'] });
    assert.throws(() => planDatabase('rds', 'reports', {}, CATALOGUE), { hints: ['try: cloudtun sql reports'] });
    assert.throws(() => planDatabase('sql', 'aws:prod', {}, EMPTY), { code: 'CT_USAGE', message: /in aws/ });
    assert.throws(() => planDatabase('rds', 'prod', { via: ['gcp:web'] }, EMPTY), { message: /in gcp/ });
    assert.throws(() => planDatabase('rds', 'prod', { via: ['web'] }, CATALOGUE), { message: /in gcp/ });
  });
});

suite('forward to a target that names its port', () => {
  const target = 'db.internal:5432@asia-northeast1/default/private-sql';
  const far = [{ port: 5_432 }];

  test('needs no rule: a stable port, or the one of --port', () => {
    const plan = planForward(target, [], {}, EMPTY, 5_432);
    assert.deepEqual([plan.request.text, plan.request.kind === 'machine' && plan.request.to], [target, far]);
    assert.ok(portOf(plan) >= 20_000);
    assert.equal(portOf(planForward(`gcp:${target}`, [], { port: '15432' }, EMPTY, 5_432)), 15_432);
    assert.equal(planForward(`gcp:${target}`, [], {}, EMPTY, 5_432).cloud, 'gcp');
  });

  test('a rule may say the local port, and repeat the far one', () => {
    const local = planForward(target, [{ port: 8_080, to: { port: 8_080 } }], {}, EMPTY, 5_432);
    assert.deepEqual([local.rules[0]?.port, local.request.kind === 'machine' && local.request.to], [8_080, far]);
    const both = planForward(target, [{ port: 8_080, to: { port: 5_432 } }], {}, EMPTY, 5_432);
    assert.deepEqual(both.request.kind === 'machine' && both.request.to, far);
    assert.throws(() => planForward(target, [{ port: 1, to: { port: 80 } }], {}, EMPTY, 5_432), { code: 'CT_USAGE' });
  });
});

suite('forward', () => {
  const rule = { port: 8_080, to: { port: 80 } };

  test('rules become endpoints of one machine, in order', () => {
    const rules = [rule, { bind: '127.0.0.1', port: 5_432, to: { host: 'db.internal', port: 5_432 } }];
    const plan = planForward('bastion', rules, {}, CATALOGUE);
    assert.deepEqual(plan.request, {
      kind: 'machine',
      text: 'tag:role=bastion',
      to: [{ port: 80 }, { host: 'db.internal', port: 5_432 }],
    });
    assert.deepEqual(plan.rules, [
      { port: 8_080, to: { port: 80 } },
      { bind: ['127.0.0.1'], port: 5_432, to: { host: 'db.internal', port: 5_432 } },
    ]);
    assert.deepEqual(plan.settings.selection, { profile: 'prod', region: REGION });
  });

  test('a host of the catalogue needs no rule', () => {
    const plan = planForward('admin', [], {}, CATALOGUE);
    assert.deepEqual(plan.request, {
      kind: 'machine',
      text: 'tag:role=bastion',
      to: [{ host: 'admin.internal', port: 80 }],
    });
    assert.ok(portOf(plan) >= 20_000);
    assert.equal(portOf(planForward('admin', [], { port: '8081' }, CATALOGUE)), 8_081);
  });

  test('a database of the catalogue is forwarded as rds does it', () => {
    assert.deepEqual(
      planForward('prod', [], {}, CATALOGUE).request,
      planDatabase('rds', 'prod', {}, CATALOGUE).request,
    );
  });

  const refused: readonly { name: string; typed: [string, (typeof rule)[], PlanFlags]; hint: RegExp }[] = [
    { name: 'no rule', typed: ['i-0abc', [], {}], hint: /cloudtun forward i-0abc -L 8080:80/ },
    { name: 'a rule for a host of the catalogue', typed: ['admin', [rule], {}], hint: /cloudtun forward admin$/ },
    { name: '--port beside a rule', typed: ['i-0abc', [rule], { port: '1' }], hint: /-L 8080:80/ },
  ];
  for (const { name, typed, hint } of refused) {
    test(`refused: ${name}`, () => {
      const [target, rules, flags] = typed;
      assert.throws(
        () => planForward(target, rules, flags, CATALOGUE),
        (error: { code?: string; hints?: string[] }) => error.code === 'CT_USAGE' && hint.test(error.hints?.[0] ?? ''),
      );
    });
  }
});

test('--port is a port or auto', () => {
  assert.equal(parsePort(undefined), undefined);
  assert.equal(parsePort('auto'), 0);
  assert.equal(parsePort('13306'), 13_306);
  for (const text of ['', '-1', '65536', '1e3', '80 ', 'http']) {
    assert.throws(() => parsePort(text), { code: 'CT_USAGE' }, text);
  }
});

suite('socks', () => {
  test('a machine, by the catalogue or as typed, and anywhere behind it', () => {
    const named = planSocks('bastion', { reason: 'INC-1' }, CATALOGUE);
    const request = { kind: 'machine', text: 'tag:role=bastion', to: [], anywhere: true, reason: 'INC-1' };
    assert.deepEqual(named.request, request);
    assert.deepEqual([named.cloud, portOf(named), named.settings.selection.profile], ['aws', 1080, 'prod']);
    const typed = planSocks('gcp:web-1', { port: 'auto' }, EMPTY);
    assert.deepEqual([typed.cloud, typed.request.text, portOf(typed)], ['gcp', 'web-1', 0]);
  });

  test('a database is no machine, and the way to it is named', () => {
    assert.throws(() => planSocks('prod', {}, CATALOGUE), {
      code: 'CT_USAGE',
      hints: ['try: cloudtun socks tag:role=bastion'],
    });
  });

  test('a host of the catalogue is logged in to, behind what it is reached through', () => {
    const { request, cloud } = planSocks('admin', {}, CATALOGUE);
    assert.deepEqual(
      [cloud, request.text, request.via?.map(({ text }) => text)],
      ['aws', 'admin.internal', ['tag:role=bastion']],
    );
    assert.deepEqual(request.kind === 'machine' && request.login, { port: 80 });
  });
});

suite('a way by logins is in one cloud', () => {
  const refused: readonly (readonly [string, readonly string[], Catalogue])[] = [
    ['gcp:web-1', ['aws:bastion'], EMPTY],
    ['deploy@gcp:web-1', ['aws:bastion'], EMPTY],
    ['gcp:web-1', ['somewhere', 'aws:bastion'], EMPTY],
    ['inner', ['aws:bastion', 'gcp:web-1'], EMPTY],
    ['web', ['bastion'], CATALOGUE],
  ];
  for (const [target, via, known] of refused) {
    test(`not ${target} via ${via.join(',')}: another machine has that name where the way begins`, () => {
      const wrong = { code: 'CT_USAGE', message: /is in \w+, and "[^"]+" on the way in \w+/ };
      const rule = { port: 8080, to: { port: 80 } };
      assert.throws(() => planForward(target, [rule], { via }, known), wrong);
      assert.throws(() => planSocks(target, { via }, known), wrong);
      assert.throws(() => planSsh(target, { via }, known, { port: undefined, use: 'ssh' }), wrong);
    });
  }

  test('whichever of them says which', () => {
    assert.equal(planSocks('inner', { via: ['somewhere', 'gcp:web-1'] }, EMPTY).cloud, 'gcp');
    assert.equal(planSocks('aws:inner', { via: ['somewhere'] }, EMPTY).cloud, 'aws');
    // A host is in no cloud of its own.
    assert.equal(planSocks('admin', { via: ['gcp:web-1'] }, CATALOGUE).cloud, 'gcp');
  });

  test('the account is the one of the machine at which it begins, however that is written', () => {
    for (const via of ['other', 'deploy@other', 'other:2222']) {
      assert.equal(planSocks('inner', { via: [via] }, CATALOGUE).settings.selection.profile, 'staging', via);
      assert.equal(planSocks('admin', { via: [via] }, CATALOGUE).settings.selection.profile, 'staging', via);
    }
    assert.equal(
      planDatabase('rds', 'orders', { via: ['deploy@other'] }, CATALOGUE).settings.selection.profile,
      'staging',
    );
    assert.equal(planSocks('inner', { via: ['aws:other'] }, CATALOGUE).settings.selection.profile, undefined);
  });
});

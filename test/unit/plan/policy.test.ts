import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type Catalogue, completeTargets, NO_CATALOGUE } from '../../../src/config/catalogue.ts';
import { mergePolicy } from '../../../src/config/merge-policy.ts';
import { parseCatalogue } from '../../../src/config/parse.ts';
import type { PolicyEntry } from '../../../src/config/schema.ts';
import type { AuditEvent } from '../../../src/domain/audit-sink.ts';
import { permitted } from '../../../src/plan/permit.ts';
import { judge, lacksReason, shellJudgement } from '../../../src/plan/policy.ts';
import {
  type PlanFlags,
  planDatabase,
  planForward,
  planSocks,
  planSsh,
  type TunnelPlan,
} from '../../../src/plan/tunnel-plan.ts';
import { manualWorld } from '../../support/manual-world.ts';

const HOUR = 3_600_000;
/** A Monday, 10:00 in Berlin. */
const MONDAY = Date.UTC(2026, 10, 23, 9);

const { entries } = parseCatalogue(
  `version: 1
targets:
  bastion: { aws: { instance: i-0abc0abc, region: ap-northeast-1 } }
  other:   { aws: { instance: web-2 } }
  far:     { gcp: { instance: web-1, project: acme, zone: eu-a } }
  prod:    { rds: orders-prod, via: bastion }
  reports: { sql: reports, project: acme, region: eu }
  admin:   { host: admin.internal, hostPort: 80, via: bastion, ttl: 2h, maxBytes: 1MB, idle: 5m }
  secret:  { host: vault.internal, hostPort: 443, via: other }
`,
  'cloudtun.yaml',
);

const under = (policy: PolicyEntry, defaults: Catalogue['defaults'] = {}): Catalogue => ({
  ...NO_CATALOGUE,
  targets: completeTargets(entries),
  groups: new Map([['both', ['prod', 'secret']]]),
  policy,
  defaults,
});

const rds = (policy: PolicyEntry, flags: PlanFlags = {}, name = 'prod') =>
  planDatabase('rds', name, flags, under(policy));
const ruled = (plan: TunnelPlan, wall = MONDAY) => {
  const judgement = judge(plan, wall);
  return 'rule' in judgement ? judgement.rule : 'allowed';
};
const allowed = (plan: TunnelPlan, wall = MONDAY) => {
  const judgement = judge(plan, wall);
  assert.ok('plan' in judgement);
  return judgement.plan.settings;
};
const login = { port: undefined, use: 'ssh login' };

suite('a reason', () => {
  const policy = { requireReason: ['prod'] };
  const lacks = (plan: TunnelPlan) => {
    assert.equal(ruled(plan), lacksReason(plan) ? 'requireReason' : 'allowed');
    return lacksReason(plan);
  };

  test('is wanted always, or for some targets and groups, and blanks are none', () => {
    assert.ok(lacks(rds({ requireReason: true }, {}, 'unheard-of')));
    assert.ok(lacks(rds(policy)));
    assert.ok(lacks(rds(policy, { reason: '  ' })));
    assert.ok(!lacks(rds(policy, { reason: 'INC-1' })));
    assert.ok(!lacks(planDatabase('sql', 'reports', {}, under(policy))));
    assert.ok(lacks(planForward('secret', [], {}, under({ requireReason: ['both'] }))));
  });

  test('is wanted also by the names that the cloud has for it', () => {
    assert.ok(lacks(rds(policy, {}, 'orders-prod')));
    assert.ok(lacks(rds(policy, {}, 'aws:orders-prod')));
    assert.ok(!lacks(rds(policy, {}, 'orders-test')));
    const sql = under({ requireReason: ['reports'] });
    assert.ok(lacks(planDatabase('sql', 'acme:eu:reports', {}, sql)));
    const far = under({ requireReason: ['far'] });
    assert.ok(lacks(planSsh('acme/eu-a/web-1', {}, far, login)));
    assert.ok(lacks(planSsh('gcp:web-1', {}, far, login)));
    const vault = { port: 1, to: { host: 'VAULT.internal', port: 443 } };
    assert.ok(lacks(planForward('anything', [vault], {}, under({ requireReason: ['secret'] }))));
  });

  test('is wanted by whatever leads behind the machine that a guarded target is reached through', () => {
    const catalogue = under(policy);
    assert.ok(lacks(planSocks('bastion', {}, catalogue)));
    assert.ok(lacks(planSsh('bastion', {}, catalogue, login)));
    assert.ok(lacks(planForward('bastion', [{ port: 1, to: { host: '10.0.0.5', port: 3306 } }], {}, catalogue)));
    assert.ok(!lacks(planForward('bastion', [{ port: 1, to: { port: 80 } }], {}, catalogue)));
    assert.ok(!lacks(planForward('admin', [], {}, catalogue)), 'a host of the catalogue that is not guarded');
    assert.ok(!lacks(planSocks('other', {}, catalogue)));
  });
});

suite('the longest time', () => {
  const policy = { maxTtl: '1h' };

  test('shortens what files and defaults say, and refuses what a person says', () => {
    assert.equal(allowed(rds(policy)).ttl, HOUR);
    assert.equal(allowed(planForward('admin', [], {}, under(policy))).ttl, HOUR);
    assert.equal(allowed(planForward('admin', [], {}, under(policy, { ttl: 'none' }))).ttl, HOUR);
    assert.equal(allowed(rds(policy, { ttl: '30m' })).ttl, HOUR / 2);
    assert.equal(allowed(rds(policy, { ttl: '1h' })).ttl, HOUR);
    assert.equal(ruled(rds(policy, { ttl: '61m' })), 'maxTtl');
    assert.equal(ruled(rds(policy, { ttl: 'none' })), 'maxTtl');
    assert.equal(allowed(rds({}, { ttl: 'none' })).ttl, undefined);
    assert.equal(allowed(rds({ maxTtl: '24h' })).ttl, 8 * HOUR);
  });

  test('says what is allowed', () => {
    const judgement = judge(rds(policy, { ttl: '2d' }), MONDAY);
    assert.ok('error' in judgement);
    assert.equal(judgement.error.exitCode, 11);
    assert.match(judgement.error.message, /allows 1h at most, and --ttl is 2d/);
    assert.deepEqual(judgement.error.hints, ['open it for less: --ttl 1h']);
  });

  test('limits of a target stand over those for all, flags over both', () => {
    const defaults = { ttl: '4h', idle: '1h', maxBytes: '5MB' };
    const own = planForward('admin', [], {}, under({}, defaults)).settings;
    assert.deepEqual([own.ttl, own.idle, own.maxBytes], [2 * HOUR, 300_000, 1_000_000]);
    const all = planDatabase('rds', 'prod', {}, under({}, defaults)).settings;
    assert.deepEqual([all.ttl, all.idle, all.maxBytes], [4 * HOUR, HOUR, 5_000_000]);
    const flags = { ttl: '3h', idle: 'none', 'max-bytes': 'none' };
    const said = planForward('admin', [], flags, under({}, defaults)).settings;
    assert.deepEqual([said.ttl, said.idle, said.maxBytes], [3 * HOUR, undefined, undefined]);
    assert.equal(planForward('admin', [], { usualTtl: '1h' }, under({}, defaults)).settings.ttl, HOUR);
  });
});

suite('loopback only', () => {
  const policy = { loopbackOnly: true };

  test('holds for flags, rules and files; sockets of files are nobody else’s', () => {
    for (const bind of ['127.0.0.1', '127.9.9.9', '::1', 'localhost', '/run/user/1000/db.sock']) {
      assert.equal(ruled(rds(policy, { bind: [bind] })), 'allowed', bind);
    }
    for (const bind of ['0.0.0.0', '*', '::', '10.0.0.5', 'localhost.example.com', '']) {
      assert.equal(ruled(rds(policy, { bind: ['127.0.0.1', bind] })), 'loopbackOnly', bind);
    }
    assert.equal(ruled(rds(policy)), 'allowed');
    const wide = [{ bind: '10.0.0.5', port: 8080, to: { port: 80 } }];
    assert.equal(ruled(planForward('other', wide, {}, under(policy))), 'loopbackOnly');
    assert.equal(ruled(planForward('admin', [], {}, under(policy, { bind: '0.0.0.0' }))), 'loopbackOnly');
  });

  test('holds for the far side and for what ssh forwards', () => {
    const plan = planSsh('other', {}, under(policy), login);
    const listening = (address: string) => ruled({ ...plan, listens: [{ address, by: '--bind-remote' }] });
    assert.equal(listening('localhost'), 'allowed');
    assert.equal(listening('10.0.0.5'), 'loopbackOnly');
    assert.equal(listening(''), 'loopbackOnly');
  });
});

suite('hours', () => {
  const hours = { days: ['mon' as const], from: '08:00', to: '18:00', zone: 'Europe/Berlin' };

  test('refuse outside, saying when; end with them inside', () => {
    assert.equal(allowed(rds({ hours })).hoursEnd, Date.UTC(2026, 10, 23, 17));
    const judgement = judge(rds({ hours }), MONDAY + 8 * HOUR);
    assert.ok('error' in judgement);
    assert.equal(judgement.rule, 'hours');
    assert.match(judgement.error.message, /allows it mon 08:00-18:00 Europe\/Berlin, and there it is mon 18:00$/);
    assert.deepEqual(judgement.error.hints, ['try again mon 08:00']);
    assert.equal(allowed(rds({ hours: { from: '00:00', to: '24:00', zone: 'UTC' } })).hoursEnd, undefined);
  });
});

test('--keep-active may be forbidden', () => {
  assert.equal(ruled(rds({ allowKeepActive: false }, { 'keep-active': true })), 'allowKeepActive');
  assert.equal(ruled(rds({ allowKeepActive: false })), 'allowed');
  assert.equal(ruled(rds({}, { 'keep-active': true })), 'allowed');
  assert.equal(rds({}, { 'keep-active': true }).request.keepActive, true);
});

test('shells may have to be encrypted', () => {
  assert.equal(shellJudgement({ encryptedShells: true }, false)?.rule, 'encryptedShells');
  assert.equal(shellJudgement({ encryptedShells: true }, true), undefined);
  assert.equal(shellJudgement({}, false), undefined);
});

test('a file of the user tightens the policy of the project, and never weakens it', () => {
  const project: PolicyEntry = {
    requireReason: ['prod'],
    maxTtl: '4h',
    loopbackOnly: true,
    hours: { from: '08:00', to: '18:00', zone: 'UTC' },
    encryptedShells: true,
    allowKeepActive: false,
  };
  const weak: PolicyEntry = {
    requireReason: false,
    maxTtl: 'none',
    loopbackOnly: false,
    hours: { from: '00:00', to: '24:00', zone: 'UTC' },
    encryptedShells: false,
    allowKeepActive: true,
  };
  assert.deepEqual(mergePolicy([project, weak]), project);
  const strict = mergePolicy([weak, { ...project, hours: undefined }]);
  assert.deepEqual({ ...strict, hours: undefined }, { ...project, hours: undefined });
  assert.deepEqual(mergePolicy([project, { maxTtl: '1h', requireReason: true }]), {
    ...project,
    maxTtl: '1h',
    requireReason: true,
  });
  assert.deepEqual(mergePolicy([project, { requireReason: ['admin'] }]).requireReason, ['prod', 'admin']);
});

suite('what is refused', () => {
  test('goes to the journal with the rule, once, and nothing of it is opened', () => {
    const { world } = manualWorld();
    const records: AuditEvent[] = [];
    const journal = { record: (event: AuditEvent) => void records.push(event), [Symbol.asyncDispose]: async () => {} };
    assert.throws(() => permitted({ world, journal }, rds({ requireReason: true })), { code: 'CT_POLICY' });
    assert.equal(records.length, 1);
    const { event, rule, asked, code } = records[0]!;
    assert.deepEqual([event, rule, asked, code], ['denial', 'requireReason', 'orders-prod', 'CT_POLICY']);
    const plan = permitted({ world, journal }, rds({ maxTtl: '1h' }));
    assert.equal(plan.settings.ttl, HOUR);
    assert.deepEqual(permitted({ world, journal }, plan), plan, 'asked twice, it says the same');
    assert.equal(records.length, 1);
  });

  test('stays refused where the journal cannot be written', () => {
    const { world, logs } = manualWorld();
    const journal = {
      record: () => {
        throw new Error('disk full');
      },
      [Symbol.asyncDispose]: async () => {},
    };
    assert.throws(() => permitted({ world, journal }, rds({ requireReason: true })), { code: 'CT_POLICY' });
    assert.match(JSON.stringify(logs), /disk full/);
  });
});

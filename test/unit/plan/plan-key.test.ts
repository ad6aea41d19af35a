import assert from 'node:assert/strict';
import { test } from 'node:test';
import { completeTargets, NO_CATALOGUE } from '../../../src/config/catalogue.ts';
import { parseCatalogue } from '../../../src/config/parse.ts';
import { planNamed } from '../../../src/plan/named-plan.ts';
import { planKey, planSignature } from '../../../src/plan/plan-key.ts';
import type { PlanFlags } from '../../../src/plan/tunnel-plan.ts';

async function plan(entry: string, flags: PlanFlags = {}) {
  const { entries } = parseCatalogue(`version: 1\ntargets:\n  prod: ${entry}\n`, 'cloudtun.yaml');
  return planNamed('prod', flags, { ...NO_CATALOGUE, targets: completeTargets(entries) }, async () => undefined);
}

test('the signature of a plan changes with everything that is said of it, a written port included', async () => {
  const texts = [
    '{ rds: prod }',
    '{ rds: prod, port: 13306 }',
    '{ rds: prod, port: 13307 }',
    '{ rds: other }',
    '{ rds: prod, ttl: 1h }',
    '{ rds: prod, region: eu-west-1 }',
    '{ rds: prod, via: b }',
  ];
  const signatures = await Promise.all(texts.map(async (text) => planSignature(await plan(text))));
  assert.equal(new Set(signatures).size, texts.length);
  assert.equal(planSignature(await plan('{ rds: prod }')), signatures[0]);
});

test('the key of a plan is the same wherever it listens and whatever for, and not for another place or person', async () => {
  const key = async (entry: string, flags: PlanFlags = {}, env = {}) => planKey(await plan(entry, flags), env);
  const own = await key('{ rds: prod }');
  assert.equal(await key('{ rds: prod, port: 13306, ttl: 1h }', { reason: 'INC-1' }), own);
  for (const other of [
    key('{ rds: other }'),
    key('{ rds: prod, region: eu-west-1 }'),
    key('{ rds: prod, via: b }'),
    key('{ rds: prod }', { reader: true }),
    key('{ rds: prod }', {}, { AWS_PROFILE: 'x' }),
  ]) {
    assert.notEqual(await other, own);
  }
});

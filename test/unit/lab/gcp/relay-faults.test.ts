import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DelayLine } from '../../../../src/lab/gcp/relay/delay-line.ts';
import { DEFAULT_RELAY_PLAN, RelayFaults, relayPatchSchema } from '../../../../src/lab/gcp/relay/relay-faults.ts';
import { TokenStore } from '../../../../src/lab/gcp/token-store.ts';
import { manualWorld } from '../../../support/manual-world.ts';

test('without faults the plan is the service; a patch changes what it names, and a new one starts anew', () => {
  const faults = new RelayFaults();
  assert.deepEqual(faults.plan(), DEFAULT_RELAY_PLAN);
  faults.set({ cutOutput: { everyBytes: 10 }, windowBytes: 5 });
  assert.deepEqual(faults.plan().cutOutput, { ...DEFAULT_RELAY_PLAN.cutOutput, everyBytes: 10 });
  faults.set({ endCode: 1000 });
  assert.deepEqual(faults.plan(), { ...DEFAULT_RELAY_PLAN, endCode: 1000 });
});

test('what strikes a number of times is counted down, and anew after a change', () => {
  const faults = new RelayFaults({ silentUpgrades: 2 });
  const strikes = () => [1, 2, 3].map(() => faults.strikes('silentUpgrades', faults.plan().silentUpgrades));
  assert.deepEqual(strikes(), [true, true, false]);
  faults.set({ silentUpgrades: 1 });
  assert.deepEqual(strikes(), [true, false, false]);
});

test('what is no plan is refused by name', () => {
  for (const [patch, path] of [
    [{ splitPercent: 101 }, 'splitPercent'],
    [{ cutInput: { everyByte: 1 } }, 'cutInput'],
    [{ maxPayload: 16_385 }, 'maxPayload'],
    [{ closes: [{ afterBytes: 1, code: 99 }] }, 'closes.0.code'],
    [{ cutAs: 'bang' }, 'cutAs'],
  ] as const) {
    const result = relayPatchSchema.safeParse(patch);
    assert.equal(result.error?.issues[0]?.path.join('.'), path);
  }
});

test('a delay line keeps the order, also when the latency shrinks', () => {
  const { clock } = manualWorld();
  let latency = 100;
  const seen: string[] = [];
  const line = new DelayLine(clock, () => latency);
  line.carry(() => seen.push('a'));
  clock.tick(60);
  latency = 0;
  line.carry(() => seen.push('b'));
  assert.equal(line.isClear, false);
  clock.tick(39);
  assert.equal(seen.length, 0);
  clock.tick(1);
  assert.equal(seen.join(''), 'ab');
  assert.equal(line.isClear, true);
  line.carry(() => seen.push('c'));
  assert.equal(seen.join(''), 'abc');
  latency = 5;
  line.carry(() => seen.push('d'));
  line.clear();
  clock.tick(10);
  assert.equal(seen.length, 3);
  assert.equal(clock.pending, 0);
});

test('tokens expire, are revoked, and are nobody else’s', () => {
  const { world, clock } = manualWorld();
  const tokens = new TokenStore(world);
  const { token } = tokens.issue('alice@example.com', [], 1_000);
  const other = tokens.issue('bob@example.com', []).token;
  const refresh = tokens.issueRefresh('bob@example.com');
  assert.equal(tokens.check(token).ok, true);
  clock.tick(1_000);
  assert.deepEqual(tokens.check(token), { ok: false, why: 'expired token' });
  assert.deepEqual(tokens.check('x'), { ok: false, why: 'unknown token' });
  let told = 0;
  tokens.onRevoked(() => {
    told += 1;
  });
  tokens.revoke('bob@example.com');
  assert.deepEqual(tokens.check(other), { ok: false, why: 'revoked token' });
  assert.equal(tokens.refreshOwner(refresh), 'bob@example.com');
  tokens.revoke('bob@example.com', true);
  assert.equal(tokens.refreshOwner(refresh), undefined);
  assert.equal(told, 2);
});

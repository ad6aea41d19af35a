import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RelayPatch } from '../../src/lab/gcp/relay/relay-faults.ts';
import { type IapLab, iapLab } from '../support/iap-lab.ts';
import { download, echoPattern, upload } from '../support/transfers.ts';
import { until } from '../support/until.ts';
import { patternDigest } from '../support/workload-server.ts';

const signal = new AbortController().signal;
const CUTS = 20;

/** 5 % of the frames are split, cut into single bytes, or have something beside them that is to be ignored. */
const RAGGED: RelayPatch = {
  splitPercent: 5,
  oneBytePercent: 5,
  trailingPercent: 5,
  unknownTagPercent: 5,
  emptyDataPercent: 5,
  repeatAcks: true,
  takePartialInput: true,
};

function conclude({ lab, events }: IapLab, cuts: number): void {
  assert.deepEqual(lab.gcp.relay.violations(), [], 'no rule of the protocol was broken');
  assert.equal(lab.gcp.relay.counters().cuts, cuts);
  assert.ok(events.filter(({ type }) => type === 'renewed').length >= cuts);
}

async function nothingLeftOpen({ lab }: IapLab): Promise<void> {
  await until(() => lab.gcp.relay.openSessions().length === 0);
}

for (const cutAs of ['reset', 'fin', 'close'] as const) {
  test(`an upload of 50 MB with ${CUTS} cuts (${cutAs}) and ragged frames is byte-exact`, async (t) => {
    const bytes = 50_000_000;
    const everyBytes = 2_300_000;
    const iap = await iapLab({ ...RAGGED, cutAs, cutInput: { everyBytes, atMost: CUTS } });
    t.after(() => iap[Symbol.asyncDispose]());
    const tunnel = await iap.open();
    const stream = await tunnel.open(signal);
    assert.equal(await upload(stream, bytes, 5), patternDigest(5, bytes));
    stream.destroy();
    await tunnel[Symbol.asyncDispose]();
    conclude(iap, CUTS);
    await nothingLeftOpen(iap);
  });

  test(`a download of 50 MB with ${CUTS} cuts (${cutAs}) and ragged frames is byte-exact`, async (t) => {
    const bytes = 50_000_000;
    const iap = await iapLab({ ...RAGGED, cutAs, cutOutput: { everyBytes: 2_300_000, atMost: CUTS } });
    t.after(() => iap[Symbol.asyncDispose]());
    const tunnel = await iap.open();
    const stream = await tunnel.open(signal);
    assert.equal(await download(stream, bytes, 6), patternDigest(6, bytes));
    stream.destroy();
    await tunnel[Symbol.asyncDispose]();
    conclude(iap, CUTS);
    await nothingLeftOpen(iap);
  });
}

test('200 MB both ways at once on one connection', async (t) => {
  const iap = await iapLab();
  t.after(() => iap[Symbol.asyncDispose]());
  const tunnel = await iap.open();
  const stream = await tunnel.open(signal);
  await echoPattern(stream, 200_000_000, 7);
  stream.destroy();
  assert.deepEqual(iap.lab.gcp.relay.violations(), []);
});

test('both ways at once with cuts in both directions', async (t) => {
  const iap = await iapLab({
    ...RAGGED,
    cutInput: { everyBytes: 3_000_000, atMost: CUTS },
    cutOutput: { everyBytes: 3_100_000, atMost: CUTS },
  });
  t.after(() => iap[Symbol.asyncDispose]());
  const tunnel = await iap.open();
  const stream = await tunnel.open(signal);
  await echoPattern(stream, 40_000_000, 8);
  stream.destroy();
  assert.deepEqual(iap.lab.gcp.relay.violations(), []);
  assert.ok(iap.lab.gcp.relay.counters().cuts >= CUTS);
});

test('the token is asked for anew in the middle of a transfer', async (t) => {
  const bytes = 20_000_000;
  const iap = await iapLab({ reauthenticateEveryBytes: 4_000_000 });
  t.after(() => iap[Symbol.asyncDispose]());
  const tunnel = await iap.open();
  const stream = await tunnel.open(signal);
  assert.equal(await download(stream, bytes, 9), patternDigest(9, bytes));
  stream.destroy();
  assert.ok(iap.lab.gcp.relay.counters().reauthentications >= 4);
  assert.equal(iap.tickets.renewals, iap.lab.gcp.relay.counters().reauthentications);
});

test('an upload that is never acknowledged is bounded, and so is one that nobody reads', async (t) => {
  const held = 64 * 1024 * 1024;
  for (const [what, faults] of [
    ['never acknowledged', { withholdAcks: true }],
    ['never read', {}],
  ] as const) {
    const iap = await iapLab(faults);
    const tunnel = await iap.open();
    const stream = await tunnel.open(signal);
    stream.on('error', () => {});
    stream.write(what === 'never read' ? 'MUTE\n' : 'DRAIN 1000000000\n');
    const chunk = Buffer.alloc(64 * 1024, 'x');
    let taken = 0;
    let isBlocked = false;
    // Until the stream has taken nothing for half a second, or far too much.
    for (let quiet = 0; !isBlocked && taken < 4 * held; ) {
      const hadRoom = stream.writableNeedDrain ? false : stream.write(chunk, () => (taken += chunk.length));
      if (hadRoom) continue;
      const before = taken;
      await new Promise((resolve) => setTimeout(resolve, 50));
      quiet = taken === before ? quiet + 1 : 0;
      isBlocked = quiet >= 10;
    }
    assert.ok(isBlocked, `${what}: the writer is held up`);
    assert.ok(taken <= held, `${what}: ${taken} bytes were taken`);
    t.diagnostic(`${what}: ${(taken / 1e6).toFixed(1)} MB were taken`);
    stream.destroy();
    await iap[Symbol.asyncDispose]();
  }
});

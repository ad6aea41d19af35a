import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { NO_CATALOGUE } from '../../../src/config/catalogue.ts';
import type { App } from '../../../src/plan/app.ts';
import { openPlanned } from '../../../src/plan/open-planned.ts';
import { planDatabase } from '../../../src/plan/tunnel-plan.ts';
import { LocalMemory } from '../../../src/transport/local-memory.ts';
import { PeerWatch } from '../../../src/transport/peer-watch.ts';
import { FakeProvider } from '../../support/fake-provider.ts';
import { manualWorld } from '../../support/manual-world.ts';

/** 09:00 UTC, when a clock that is driven by hand begins. */
const hours = { from: '08:00', to: '10:00', zone: 'UTC' };
const never = new AbortController().signal;

test('what opens at a connection opens nothing when the machine slept over the end of the hours', async () => {
  const { world, clock } = manualWorld();
  const provider = new FakeProvider();
  const app: App = {
    world,
    journal: { record: () => {}, [Symbol.asyncDispose]: async () => {} },
    peers: new PeerWatch(world, async (connections) => connections.map(() => 'held')),
    memory: new LocalMemory(),
    get candidates(): never {
      throw new Error('not asked');
    },
    get providers(): never {
      throw new Error('not asked');
    },
    firstSteps: [],
    get ledger(): never {
      throw new Error('not asked');
    },
    journalPath: '',
    contextFor: () => {
      throw new Error('not asked');
    },
    [Symbol.asyncDispose]: async () => {},
  };
  const catalogue = { ...NO_CATALOGUE, policy: { hours } };
  const plan = planDatabase('rds', 'prod', { port: 'auto', bind: ['127.0.0.1'] }, catalogue);
  const planned = { request: plan.request, candidates: [{ id: 'aws' as const, provider }] };
  const options = { isProbed: false, onEvent: () => {}, onDemand: { idle: 60_000 } };
  await using forward = await openPlanned(app, plan, planned, options, never);
  await forward.ready;
  const wake = clock.wall() + 5 * 3_600_000;
  clock.wall = () => wake;
  const client = connect(forward.local[0]![0]!);
  client.on('error', () => {});
  // Reset, which `once` would throw.
  await new Promise((resolve) => client.once('close', resolve));
  assert.equal((await forward.closed).reason, 'policy');
  assert.deepEqual(provider.calls, []);
});

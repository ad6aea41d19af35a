import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTunnel } from '../../../src/broker/open-tunnel.ts';
import { StartLimiter } from '../../../src/broker/start-limiter.ts';
import { composeApp } from '../../../src/compose.ts';
import { xdgPaths } from '../../../src/runtime/paths.ts';
import { systemWorld } from '../../../src/runtime/world.ts';
import { testLab } from '../../support/aws-lab.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const START = 'ssm:StartSession';
const { signal: never } = new AbortController();

/** Several apps of one process, as a supervisor has them, and what opens a tunnel of one of them. */
async function manyApps(t: Parameters<typeof testLab>[0], appCount: number) {
  const lab = await testLab(t);
  const env = { HOME: await temporaryDirectory(t), ...lab.env(), AWS_MAX_ATTEMPTS: '1' };
  const world = systemWorld({
    env,
    paths: xdgPaths(env),
    log: { level: 0, info() {}, debug() {}, warn() {} },
  });
  const starts = new StartLimiter(world);
  const question = { cloud: 'aws', said: {}, selection: {} } as const;
  const apps = await Promise.all(
    Array.from({ length: appCount }, () => composeApp(world, question, {}, undefined, starts)),
  );
  t.after(async () => {
    for (const app of apps) await app[Symbol.asyncDispose]();
  });
  const machine = lab.inventory.instances.find(({ id }) => id.endsWith('1'))!.id;
  const dial = async (number: number) => {
    const app = apps[number % appCount]!;
    const request = { kind: 'machine', text: machine, to: [{ port: 80 }], isQuick: true } as const;
    const opened = await openTunnel(app.contextFor(app.providers[0]!), request, { onEvent: () => {} }, never);
    t.after(async () => opened[Symbol.asyncDispose]());
    const stream = await opened.dialer.dial({ port: 80 }, never);
    stream.on('error', () => {});
    return opened;
  };
  return { lab, dial };
}

test('200 tunnels at once, of several apps: all come, ten StartSession at the same time at most, none left behind', async (t) => {
  const { lab, dial } = await manyApps(t, 4);
  // Long enough that calls which may overlap do.
  lab.apiFaults.set([{ action: START, kind: 'latency', delay: 20 }]);
  const opened = await Promise.all(Array.from({ length: 200 }, (_, number) => dial(number)));
  assert.equal(lab.status().sessions.length, 200);
  const most = lab.calls.mostAtOnce(START);
  assert.ok(most <= 10 && most > 5, `${most} at the same time`);
  await Promise.all(opened.map((each) => each[Symbol.asyncDispose]()));
  assert.deepEqual(lab.status().sessions, []);
});

test('an account that says "too fast" gets its sessions all the same, later', async (t) => {
  const { lab, dial } = await manyApps(t, 2);
  lab.apiFaults.set([{ action: START, kind: 'throttle', times: 3 }]);
  const opened = await Promise.all(Array.from({ length: 6 }, (_, number) => dial(number)));
  assert.equal(lab.calls.count(START), 9, 'three were refused');
  for (const each of opened) await each[Symbol.asyncDispose]();
  assert.deepEqual(lab.status().sessions, []);
});

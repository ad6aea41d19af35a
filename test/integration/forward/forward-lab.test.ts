import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs, { readdirSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import test, { describe, type TestContext } from 'node:test';
import type { TunnelRequest } from '../../../src/broker/broker-types.ts';
import { openTunnel } from '../../../src/broker/open-tunnel.ts';
import { endOrphans } from '../../../src/broker/orphans.ts';
import { composeApp } from '../../../src/compose.ts';
import type { ForwardEvent, ForwardLimits } from '../../../src/forward/forward-types.ts';
import { openForward } from '../../../src/forward/open-forward.ts';
import { changeInstance } from '../../../src/lab/aws/inventory.ts';
import { xdgPaths } from '../../../src/runtime/paths.ts';
import { systemWorld } from '../../../src/runtime/world.ts';
import { testLab } from '../../support/aws-lab.ts';
import { journalRecords } from '../../support/journal-records.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';

/** A forward through the real transport and provider to the lab; everything it left behind can be looked at. */
async function labForward(
  t: TestContext,
  request: TunnelRequest,
  options: { readonly env?: Record<string, string>; readonly limits?: Partial<ForwardLimits> } = {},
) {
  const lab = await testLab(t);
  const env = { HOME: await temporaryDirectory(t), ...lab.env(), ...options.env };
  const warnings: string[] = [];
  const log = { level: 0, info: () => {}, debug: () => {}, warn: (line: string) => void warnings.push(line) };
  const world = systemWorld({ env, paths: xdgPaths(env), log });
  const app = await composeApp(world, { cloud: 'aws', said: {}, selection: {} }, {});
  t.after(async () => app[Symbol.asyncDispose]());
  const events: ForwardEvent[] = [];
  const forward = await openForward(app, {
    listen: [{ bind: ['localhost'], port: 0 }],
    open: (onEvent, signal) => openTunnel(app.contextFor(app.providers[0]!), request, { onEvent }, signal),
    limits: { ttl: undefined, idle: undefined, grace: 5_000, ...options.limits },
    onEvent: (event) => events.push(event),
  });
  t.after(async () => forward[Symbol.asyncDispose]());
  return {
    lab,
    env,
    app,
    forward,
    events,
    warnings,
    client: (): Socket => connect({ ...forward.local[0]![0]!, allowHalfOpen: true }).on('error', () => {}),
    clientEvents: () => events.filter((event) => event.type === 'client' && event.change === 'closed').length,
    journal: (): Record<string, unknown>[] => journalRecords(join(world.paths.state, 'journal')),
    noted: () => readdirSync(join(world.paths.state, 'sessions')),
  };
}

async function answerTo(client: Socket, question: string): Promise<string> {
  let answer = '';
  client.setEncoding('latin1').on('data', (text: string) => {
    answer += text;
  });
  client.end(question);
  await once(client, 'end');
  return answer;
}

describe('a forward to a machine of the lab', () => {
  const web: TunnelRequest = { kind: 'machine', text: 'web-1', to: [{ port: 80 }], reason: 'a look' };

  test('is ready, carries a half-closing client, is recorded and leaves nothing behind', async (t) => {
    const { lab, forward, client, journal, noted, warnings } = await labForward(t, web);
    await forward.ready;
    assert.equal(noted().length, 1);
    const page = await answerTo(client(), 'GET / HTTP/1.0\r\nHost: web-1\r\n\r\n');
    assert.match(page, /You reached the practice machine web-1/);
    forward.drain('interrupted');
    const report = await forward.closed;
    assert.equal(report.reason, 'interrupted');
    assert.equal(report.connections, 1);
    assert.equal(report.bytesDown, page.length);
    assert.deepEqual(noted(), []);
    assert.deepEqual(
      journal().map(({ event, change }) => (change ? `${event} ${change}` : event)),
      ['open', 'session started', 'client connected', 'client closed', 'end', 'session ended'],
    );
    const [opening] = journal();
    assert.match(String(opening!.person), /^arn:aws:/);
    assert.equal(opening!.reason, 'a look');
    assert.deepEqual(lab.gateway.violations(), []);
    assert.deepEqual(warnings, []);
    assert.equal(lab.sessions.list('Active').length, 0);
    assert.equal(lab.sessions.list('History').length, 1);
  });

  test('at most 3 writes in the journal for a connection, and none for its bytes', { timeout: 30_000 }, async (t) => {
    const { forward, client, clientEvents } = await labForward(t, { ...web, to: [{ port: 7 }] });
    await forward.ready;
    const writes = t.mock.method(fs, 'writeSync');
    syncBuiltinESMExports();
    t.after(() => {
      writes.mock.restore();
      syncBuiltinESMExports();
    });
    const lines = () => writes.mock.calls.filter(({ arguments: [, bytes] }) => String(bytes).includes('"seq":')).length;
    const question = 'x'.repeat(300_000);
    for (let connection = 1; connection <= 5; connection += 1) {
      const one = client();
      let echoed = 0;
      one.on('data', (bytes) => {
        echoed += bytes.length;
      });
      one.write(question);
      await until(() => echoed === question.length);
      one.destroy();
      await until(() => clientEvents() === connection);
      assert.ok(lines() > 0 && lines() <= 3 * connection, `${lines()} writes for ${connection} connections`);
    }
    assert.equal(lines(), 10, 'one when it comes, one when it goes');
  });

  test('a port where nobody listens fails before it is ready, and the session is ended', async (t) => {
    const { lab, forward, noted } = await labForward(t, { ...web, to: [{ port: 81 }] });
    await assert.rejects(forward.ready, { code: 'CT_REMOTE_REFUSED' });
    assert.equal((await forward.closed).reason, 'failed');
    assert.deepEqual(noted(), []);
    assert.deepEqual(lab.sessions.list('Active'), []);
  });

  test('a client that closes altogether is released, and its session stays', async (t) => {
    const { lab, forward, client, clientEvents } = await labForward(t, { ...web, to: [{ port: 7 }] });
    await forward.ready;
    const gone = client();
    await once(gone, 'connect');
    gone.write('x');
    await once(gone, 'data');
    gone.destroy();
    await until(() => clientEvents() === 1);
    assert.equal(lab.sessions.list('Active').length, 1);
    forward.cut('ended');
    await forward.closed;
  });

  test('a client that resets in the middle of a download takes its stream with it, and its neighbour is served', async (t) => {
    const { forward, client, clientEvents, events } = await labForward(t, { ...web, to: [{ port: 19 }] });
    await forward.ready;
    const reader = client();
    const leaver = client();
    await Promise.all([once(reader, 'data'), once(leaver, 'data')]);
    leaver.resetAndDestroy();
    await until(() => clientEvents() === 1);
    const before = reader.bytesRead;
    await until(() => reader.bytesRead > before + 10_000);
    forward.cut('interrupted');
    await until(() => reader.destroyed);
    await forward.closed;
    assert.ok(events.every((event) => event.type !== 'client' || event.error === undefined));
  });

  test('a journal that cannot be written keeps the cloud from being asked for a session', async (t) => {
    const { lab, forward } = await labForward(t, web, { env: { CLOUDTUN_JOURNAL: '/dev/full' } });
    await assert.rejects(forward.ready, { code: 'CT_JOURNAL' });
    assert.equal(lab.status().apiCalls['ssm:StartSession'], undefined);
  });

  test('a machine that was replaced under its name is found again, and its successor recorded', async (t) => {
    const request: TunnelRequest = { kind: 'machine', text: 'tag:role=bastion', to: [{ port: 7 }] };
    const { lab, forward, client, journal, events } = await labForward(t, request);
    await forward.ready;
    const first = client();
    first.write('x');
    await once(first, 'data');
    const [session] = lab.sessions.list('Active');
    const gone = session!.targetId;
    lab.change((inventory) => changeInstance(inventory, gone, { state: 'terminated', agent: undefined }));
    lab.sessions.end(session!.sessionId, 'agent', 'the machine is gone');
    await until(() => first.destroyed);
    const second = client();
    second.write('y');
    const [answer] = await once(second, 'data');
    assert.equal(String(answer), 'y');
    assert.notEqual(lab.sessions.list('Active')[0]!.targetId, gone);
    assert.deepEqual(
      journal()
        .filter(({ event }) => event === 'open')
        .map(({ node }) => node),
      [gone, lab.sessions.list('Active')[0]!.targetId],
    );
    assert.ok(events.some((event) => event.type === 'tunnel' && event.event.type === 'reconnecting'));
    forward.cut('ended');
    await forward.closed;
    assert.deepEqual(lab.sessions.list('Active'), []);
  });
});

describe('a forward to a database of the lab', () => {
  test('the probed stream is the one that the first client gets', async (t) => {
    const { lab, forward, client, events } = await labForward(t, { kind: 'database', text: 'prod' });
    await forward.ready;
    const ready = events.find((event) => event.type === 'ready');
    assert.ok(ready?.type === 'ready');
    assert.match(ready.readiness.greeting ?? '', /8\.0/);
    const first = client();
    const [greeting] = await once(first, 'data');
    assert.match(String(greeting), /8\.0\.36/);
    assert.equal((await lab.databases.mysql()).counters().connections, 1);
    first.destroy();
    forward.drain('ended');
    await forward.closed;
    assert.deepEqual(lab.sessions.list('Active'), []);
  });

  test('a session that the service ends is followed by another at the next connection', async (t) => {
    const { lab, forward, client, events } = await labForward(t, { kind: 'database', text: 'prod' });
    await forward.ready;
    const first = client();
    await once(first, 'data');
    const [session] = lab.sessions.list('Active');
    lab.sessions.end(session!.sessionId, 'service', 'idle for too long');
    await until(() => first.destroyed);
    const second = client();
    const [greeting] = await once(second, 'data');
    assert.match(String(greeting), /8\.0\.36/);
    assert.ok(events.some((event) => event.type === 'tunnel' && event.event.type === 'renewed'));
    second.destroy();
    forward.cut('ended');
    await forward.closed;
  });
});

describe('a process that is killed', () => {
  test('leaves a session that the next start names and ends', async (t) => {
    const { lab, env, app, forward } = await labForward(t, { kind: 'machine', text: 'web-1', to: [{ port: 7 }] });
    await forward.ready;
    const child = spawn(process.execPath, [join(import.meta.dirname, '../../support/hold-forward.ts')], {
      env: { ...env, PATH: process.env.PATH },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    assert.equal(lab.sessions.list('Active').length, 2);
    assert.deepEqual(app.ledger.orphans(), [], 'it is alive');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const [orphan, ...others] = app.ledger.orphans();
    assert.equal(orphan?.pid, child.pid);
    assert.equal(others.length, 0);
    const reports = await endOrphans(app, new AbortController().signal);
    assert.deepEqual(
      reports.map(({ outcome, session }) => [outcome, session.id]),
      [['ended', orphan!.id]],
    );
    assert.equal(lab.sessions.get(orphan!.id)?.status, 'Terminated');
    assert.equal(lab.sessions.list('Active').length, 1, 'the session of the live process stays');
    assert.deepEqual(app.ledger.orphans(), []);
  });
});

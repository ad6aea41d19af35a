/** How tunnels end, or do not: refusals, dead agents, refused resumes, hostile frames. Always a typed error, nothing left open. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { suite, test } from 'node:test';
import { CloudtunError } from '../../src/domain/errors.ts';
import { systemWorld } from '../../src/runtime/world.ts';
import { OLD_AGENT_ID, transportLab } from '../support/lab-transport.ts';
import { scaledClock } from '../support/scaled-clock.ts';
import { echo, readAll, upload } from '../support/transfers.ts';
import { patternChunk, patternDigest } from '../support/workload-server.ts';

const signal = new AbortController().signal;

const hasCode = (code: string) => (thrown: unknown) => {
  assert.ok(thrown instanceof CloudtunError, String(thrown));
  assert.equal(thrown.code, code, thrown.message);
  return true;
};

suite('ends of tunnels', () => {
  test('a refused port destroys the stream with CT_REMOTE_REFUSED, and the tunnel goes on', async () => {
    await using lab = await transportLab();
    const tunnel = await lab.open({ to: { port: 4444 } });
    for (let round = 0; round < 3; round++) {
      // The agent acknowledges the request before it dials, so `accepted` may come first; the refusal then destroys the stream.
      const stream = await tunnel.open(signal);
      hasCode('CT_REMOTE_REFUSED')((await once(stream, 'error'))[0]);
      await assert.doesNotReject(stream.accepted.catch(hasCode('CT_REMOTE_REFUSED')));
    }
    assert.equal(tunnel.stats().sessions, 1);
  });

  test('a forbidden destination is CT_REMOTE_FORBIDDEN', async () => {
    await using lab = await transportLab();
    // The agent says so after the handshake, by ending the session.
    const tunnel = await lab.open({ to: { host: '169.254.169.254', port: 80 } });
    hasCode('CT_REMOTE_FORBIDDEN')((await tunnel.closed).error);
    assert.deepEqual(lab.lab.status().sessions, []);
  });

  test('basic mode: a session for each connection, bytes exact, all terminated', async () => {
    await using lab = await transportLab({ pacing: false, verifyInput: true });
    const tunnel = await lab.open({ targetId: OLD_AGENT_ID });
    const streams = await Promise.all([tunnel.open(signal), tunnel.open(signal), tunnel.open(signal)]);
    // Basic mode does not tell the remote end, so the far side must answer before it closes.
    const echoes = await Promise.all(
      streams.map((stream, seed) => {
        stream.write('ECHO\n');
        return echo(stream, patternChunk(seed, 0));
      }),
    );
    for (const [seed, echoed] of echoes.entries()) assert.ok(echoed.equals(patternChunk(seed, 0)));
    for (const stream of streams) stream.destroy();
    await tunnel[Symbol.asyncDispose]();
    assert.equal(lab.lab.status().counters.sessions, 3);
    assert.deepEqual(lab.lab.status().sessions, []);
    assert.deepEqual(lab.lab.status().violations, []);
  });

  test('forced basic mode works with a modern agent', async () => {
    await using lab = await transportLab({ verifyInput: true });
    const tunnel = await lab.open({ forceBasic: true });
    const stream = await tunnel.open(signal);
    stream.write('ECHO\n');
    assert.equal((await echo(stream, Buffer.from('hello'))).toString(), 'hello');
  });

  test('a refused resume resets the streams; the next connection gets a new session', async () => {
    for (const refuseResumesWith of ['expired', 'unknown'] as const) {
      await using lab = await transportLab({
        refuseResumes: 'forever',
        refuseResumesWith,
        cutInput: { everyBytes: 50_000 },
      });
      const tunnel = await lab.open();
      const stream = await tunnel.open(signal);
      const errored = once(stream, 'error');
      stream.write('SINK 1000000\n');
      stream.write(Buffer.alloc(200_000));
      hasCode('CT_SESSION_ENDED')((await errored)[0]);
      lab.lab.faults.set({ refuseResumes: 0, cutInput: { everyBytes: 0 } });
      const next = await tunnel.open(signal);
      next.write('ECHO\n');
      assert.equal((await echo(next, Buffer.from('again'))).toString(), 'again');
      await tunnel[Symbol.asyncDispose]();
      assert.deepEqual(lab.lab.status().sessions, []);
    }
  });

  test('the hourly close with code 1000 "Bye" is resumed, an open stream goes on', async () => {
    await using lab = await transportLab({ byeAfterMs: 150, pacing: false, verifyInput: true });
    const tunnel = await lab.open();
    const stream = await tunnel.open(signal);
    stream.write('ECHO\n');
    for (let round = 0; lab.events.filter(({ type }) => type === 'renewed').length < 3; round++) {
      assert.equal((await echo(stream, Buffer.from(`round ${round}`))).toString(), `round ${round}`);
    }
    stream.destroy();
    await tunnel[Symbol.asyncDispose]();
    assert.deepEqual(lab.lab.status().violations, []);
  });

  test('a session that the cloud terminates resets its streams with the reason', async () => {
    await using lab = await transportLab();
    const tunnel = await lab.open();
    const stream = await tunnel.open(signal);
    stream.write('ECHO\n');
    await echo(stream, Buffer.from('x'));
    const errored = once(stream, 'error');
    const [session] = lab.lab.status().sessions;
    lab.lab.sessions.terminate(session!.sessionId);
    hasCode('CT_SESSION_ENDED')((await errored)[0]);
    assert.equal((await tunnel.closed).reason, 'ended-by-service');
  });

  test('no handshake from a dead agent is CT_TIMEOUT, and the session is terminated', async () => {
    await using lab = await transportLab(
      { output: { lossPercent: 100 } },
      { ...systemWorld(), clock: scaledClock(40) },
    );
    await assert.rejects(lab.open(), hasCode('CT_TIMEOUT'));
    assert.deepEqual(lab.lab.status().sessions, []);
  });

  test('an early and a repeated handshake request is answered once; data refused right after Complete is sent again', async () => {
    await using lab = await transportLab({
      handshakeRequests: 5,
      handshakeRequestAfterResume: true,
      completeBeforeAcknowledge: true,
      notReadyMs: 300,
      verifyInput: true,
      cutInput: { everyBytes: 20_000 },
    });
    const tunnel = await lab.open();
    const stream = await tunnel.open(signal);
    assert.equal(await upload(stream, 100_000, 9), patternDigest(9, 100_000));
    assert.equal(lab.lab.status().counters.secondHandshakeResponses, 0);
    stream.destroy();
    await tunnel[Symbol.asyncDispose]();
    assert.deepEqual(lab.lab.status().violations, []);
  });

  test('hostile frames end the tunnel with CT_PROTO_* and nothing is left open', async () => {
    const frames: [hex: string, as: 'binary' | 'text' | 'raw', code: RegExp][] = [
      ['', 'binary', /^CT_PROTO_FRAME$/],
      ['00000074', 'binary', /^CT_PROTO_FRAME$/],
      ['ff'.repeat(200), 'binary', /^CT_PROTO_FRAME$/],
      ['7b7d', 'text', /^CT_PROTO_FRAME$/],
    ];
    for (const [hex, as, code] of frames) {
      await using lab = await transportLab({ injections: [{ afterOutput: 3, hex, as, repeat: 1 }] });
      const tunnel = await lab.open();
      const stream = await tunnel.open(signal);
      const errored = once(stream, 'error');
      stream.write('ECHO\nhello');
      const [error] = (await errored) as [CloudtunError];
      assert.match(error.code, code, `${as} ${hex.slice(0, 16)}`);
      const end = await tunnel.closed;
      assert.equal(end.reason, 'lost');
      await tunnel[Symbol.asyncDispose]();
      assert.deepEqual(lab.lab.status().sessions, []);
    }
  });

  test('a corrupted payload is CT_PROTO_DIGEST', async () => {
    await using lab = await transportLab({ corruptOutput: [3] });
    const tunnel = await lab.open();
    const stream = await tunnel.open(signal);
    const errored = once(stream, 'error');
    stream.write('ECHO\nhello');
    hasCode('CT_PROTO_DIGEST')((await errored)[0]);
  });

  test('a half close does not lose the reply', async () => {
    await using lab = await transportLab({ pacing: false });
    const tunnel = await lab.open();
    const stream = await tunnel.open(signal);
    const reply = readAll(stream);
    stream.end(Buffer.concat([Buffer.from('SINK 6\n'), Buffer.from('abcdef')]));
    assert.match((await reply).toString(), /^[0-9a-f]{64}$/);
  });
});

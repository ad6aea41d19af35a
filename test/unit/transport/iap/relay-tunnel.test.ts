/** Streams against a relay of which the test decides every word; time by hand. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { CloudtunError } from '../../../../src/domain/errors.ts';
import { GRACE_MS } from '../../../../src/transport/iap/core/half-close.ts';
import { FIRST_FRAME_LIMIT_MS } from '../../../../src/transport/iap/relay-link.ts';
import type { After } from '../../../support/gateway-lab.ts';
import { manualWorld, settle } from '../../../support/manual-world.ts';
import { frames, type RelayEnd, type ScriptedRelay, scriptedRelay } from '../../../support/scripted-relay.ts';
import { until } from '../../../support/until.ts';

const { signal: never } = new AbortController();
const code = (expected: string) => (error: unknown) => {
  assert.ok(error instanceof CloudtunError, String(error));
  assert.equal(error.code, expected, error.message);
  return true;
};
const pattern = (from: number, length: number) =>
  Buffer.from(Uint8Array.from({ length }, (_, at) => (from + at) % 251));

async function started(test: After, onOpen?: (end: RelayEnd) => void) {
  const relay = await scriptedRelay(test, onOpen);
  const { world, clock, logs } = manualWorld();
  const tunnel = await relay.tunnel(world);
  test.after(() => tunnel[Symbol.asyncDispose]() as Promise<void>);
  return { relay, world, clock, logs, tunnel };
}

/** A stream, and what becomes of it. */
async function opened(test: After) {
  const bench = await started(test);
  const stream = await bench.tunnel.open(never);
  const heard: Buffer[] = [];
  const fate: { ended: boolean; closed: boolean; error?: Error } = { ended: false, closed: false };
  stream.on('data', (bytes: Buffer) => heard.push(bytes));
  stream.on('end', () => {
    fate.ended = true;
  });
  stream.on('error', (error) => {
    fate.error = error;
  });
  stream.on('close', () => {
    fate.closed = true;
  });
  const end = await bench.relay.end(1);
  return { ...bench, stream, end, fate, text: () => Buffer.concat(heard).toString() };
}

const total = (relay: ScriptedRelay) => relay.ends.reduce((sum, { received }) => sum + received, 0);

/** Lets delays pass until it is so: sockets need turns, timers need time. */
async function passing(clock: { advance(ms: number): Promise<void> }, condition: () => boolean, step = 1_000) {
  for (let count = 0; count < 2_000 && !condition(); count += 1) {
    await clock.advance(step);
    await settle(4);
  }
  assert.ok(condition(), 'it never came so');
}

suite('opening', () => {
  test('a stream is handed out at tag 1, and says that it is connected', async (t) => {
    let first: RelayEnd | undefined;
    const { relay, tunnel } = await started(t, (end) => {
      first = end;
    });
    let isOpen = false;
    const opening = tunnel.open(never).then((stream) => {
      isOpen = true;
      return stream;
    });
    await relay.end(1);
    await settle();
    assert.equal(isOpen, false);
    assert.equal(tunnel.stats().openStreams, 0);
    first!.send(frames.sid('secret-sid'), frames.data('hello'));
    const stream = await opening;
    assert.equal(await stream.accepted, 'connected');
    assert.equal(tunnel.stats().openStreams, 1);
    const [bytes] = await new Promise<Buffer[]>((resolve) => stream.once('data', (...args: Buffer[]) => resolve(args)));
    assert.equal(bytes!.toString(), 'hello');
    const [event] = relay.events;
    assert.ok(event?.type === 'session-started');
    assert.match(event.sessionId, /^iap-[0-9a-f]{12}$/);
    assert.doesNotMatch(JSON.stringify(relay.events), /secret-sid/);
  });

  for (const [name, closeCode, expected] of [
    ['nobody listens', 4003, 'CT_REMOTE_REFUSED'],
    ['not authorized', 4033, 'CT_DENIED'],
    ['no such machine', 4047, 'CT_TARGET_NOT_FOUND'],
    ['a policy', 4054, 'CT_DENIED'],
    ['closed at once', 4010, 'CT_REMOTE_REFUSED'],
  ] as const) {
    test(`${name}: ${expected}, and the tunnel goes on`, async (t) => {
      const { relay, tunnel, clock } = await started(t, (end) => end.ws.close(closeCode, 'why'));
      await assert.rejects(tunnel.open(never), code(expected));
      assert.equal(relay.ends.length, 1);
      relay.onOpen = (end) => end.send(frames.sid());
      await tunnel.open(never);
      assert.equal(tunnel.stats().openStreams, 1);
      assert.ok(clock.pending > 0);
    });
  }

  test('a lie right behind tag 1, in one piece with it, is told to whoever opens, and the tunnel goes on', async (t) => {
    const { relay, tunnel } = await started(t, (end) => {
      end.socket.cork();
      end.send(frames.sid(), frames.ack(2n ** 64n - 1n));
      end.socket.uncork();
    });
    await assert.rejects(tunnel.open(never), code('CT_PROTO_FRAME'));
    assert.deepEqual(
      relay.events.map(({ type }) => type),
      ['session-ended'],
    );
    relay.onOpen = (end) => end.send(frames.sid());
    await tunnel.open(never);
    // The first one is let go when its Close was answered.
    await until(() => tunnel.stats().openStreams === 1);
  });

  test('silence after 101 is CT_REMOTE_SILENT after 60 s', async (t) => {
    const { relay, tunnel, clock } = await started(t, () => {});
    const opening = assert.rejects(tunnel.open(never), code('CT_REMOTE_SILENT'));
    await relay.end(1);
    await settle();
    await clock.advance(FIRST_FRAME_LIMIT_MS - 1);
    assert.equal(relay.ends[0]!.closed, undefined);
    await clock.advance(1);
    await opening;
    assert.equal(tunnel.stats().sessions, 0);
  });

  test('silence of 5 s: what makes waiting useless is told at once, anything else once, while it waits', async (t) => {
    const { relay, clock, tunnel } = await started(t, () => {});
    const shut = new CloudtunError('CT_REMOTE_REFUSED', 'the firewall is shut');
    let answer: CloudtunError | undefined;
    relay.source.whySilent = async () => answer;
    const patient = tunnel.open(never);
    patient.catch(() => {});
    await relay.end(1);
    await clock.advance(5_000);
    await settle();
    assert.deepEqual(
      relay.events.map((event) => event.type === 'warning' && event.message),
      ['port 80 has not answered for 5 s; still waiting'],
    );
    answer = shut;
    const told = assert.rejects(tunnel.open(never), shut);
    await relay.end(2);
    await clock.advance(5_000);
    await told;
    assert.equal(relay.events.length, 1);
  });

  test('a websocket that breaks before tag 1 is tried once more', async (t) => {
    const { relay, tunnel } = await started(t, (end) =>
      relay.ends.length === 1 ? end.reset() : end.send(frames.sid()),
    );
    await tunnel.open(never);
    assert.equal(relay.ends.length, 2);
    relay.onOpen = (end) => end.reset();
    const opening = assert.rejects(tunnel.open(never), code('CT_NETWORK'));
    await opening;
    assert.equal(relay.ends.length, 4);
  });

  for (const how of ['HTTP 401', '4004'] as const) {
    test(`${how}: a new token, once`, async (t) => {
      const { relay, tunnel } = await started(t);
      const { onOpen } = relay;
      if (how === '4004') relay.onOpen = (end) => (relay.ends.length === 1 ? end.ws.close(4004) : onOpen(end));
      else relay.statuses.push(401);
      await tunnel.open(never);
      assert.equal(relay.source.renewed, 1);
      assert.equal(relay.requests[1]!.headers.authorization, 'Bearer token-1');
      if (how === '4004') relay.onOpen = (end) => end.ws.close(4004);
      else relay.statuses.push(401, 401);
      await assert.rejects(tunnel.open(never), code('CT_CREDENTIALS_EXPIRED'));
      assert.equal(relay.source.renewed, 2);
    });
  }

  for (const [status, expected] of [
    [400, 'CT_UPGRADE_REFUSED'],
    [403, 'CT_PROXY'],
    [404, 'CT_TARGET_NOT_FOUND'],
    [429, 'CT_THROTTLED'],
  ] as const) {
    test(`HTTP ${status}: ${expected}`, async (t) => {
      const { relay, tunnel } = await started(t);
      relay.statuses.push(status);
      await assert.rejects(tunnel.open(never), code(expected));
      assert.equal(relay.requests.length, 1);
    });
  }

  test('an opening that is called off leaves nothing', async (t) => {
    const { relay, tunnel, clock } = await started(t, () => {});
    const giveUp = new AbortController();
    const reason = new Error('enough');
    const opening = assert.rejects(tunnel.open(giveUp.signal), reason);
    const end = await relay.end(1);
    giveUp.abort(reason);
    await opening;
    await until(() => end.closed !== undefined);
    await settle();
    assert.equal(tunnel.stats().sessions, 0);
    assert.equal(clock.pending, 0);
  });

  test('one question about a refusal at a time, and one in ten seconds', async (t) => {
    const { relay, tunnel, clock } = await started(t, (end) => end.ws.close(4003));
    let asked = 0;
    const better = new CloudtunError('CT_TARGET_STOPPED', 'it is stopped');
    relay.source.diagnose = async (error) => {
      asked += 1;
      assert.equal(error.code, 'CT_REMOTE_REFUSED');
      await settle();
      return better;
    };
    const results = await Promise.allSettled([1, 2, 3].map(() => tunnel.open(never)));
    assert.deepEqual(
      results.map((result) => result.status === 'rejected' && result.reason),
      [better, better, better],
    );
    await assert.rejects(tunnel.open(never), better);
    assert.equal(asked, 1);
    await clock.advance(10_000);
    await assert.rejects(tunnel.open(never), better);
    assert.equal(asked, 2);
  });
});

suite('carrying', () => {
  test('full frames up, acknowledged down when the reader took it', async (t) => {
    const { relay, stream, end, clock, text } = await opened(t);
    const bytes = pattern(0, 200_000);
    stream.write(bytes);
    await until(() => end.received === bytes.length);
    assert.ok(end.bytes.equals(bytes));
    assert.equal(Math.max(...end.dataLengths), 16_384);
    assert.ok(end.dataLengths.length <= 17, `${end.dataLengths.length} frames`);
    end.send(frames.data('abc'));
    await until(() => text() === 'abc');
    assert.deepEqual(end.acks, []);
    await clock.advance(200);
    await until(() => end.acks.length > 0);
    assert.deepEqual(end.acks, [3]);
    assert.equal(total(relay), bytes.length);
  });

  test('small writes of one turn leave as one frame', async (t) => {
    const { stream, end } = await opened(t);
    for (let count = 0; count < 100; count++) stream.write('0123456789');
    await until(() => end.received === 1_000);
    assert.deepEqual(end.dataLengths, [1_000]);
  });

  test('a reader that stands still gets no more than 4 MiB, without an acknowledge, and everything later', async (t) => {
    const { relay, tunnel, clock } = await started(t);
    const stream = await tunnel.open(never);
    const end = await relay.end(1);
    const block = pattern(0, 16_384);
    // A service without a window: what it sends piles up in its own socket.
    for (let count = 0; count < 2_048; count++) end.send(frames.data(block));
    await until(() => stream.readableLength > 3 * 2 ** 20);
    let before = -1;
    while (before !== stream.readableLength) {
      before = stream.readableLength;
      await settle(200);
    }
    assert.ok(stream.readableLength < 6 * 2 ** 20, `${stream.readableLength} bytes are held`);
    await clock.advance(1_000);
    await settle();
    assert.deepEqual(end.acks, []);
    let got = 0;
    stream.on('data', (bytes: Buffer) => {
      got += bytes.length;
    });
    await until(() => got === 2_048 * block.length);
    await until(() => (end.acks.at(-1) ?? 0) > got - 32_768);
    assert.ok(end.acks.every((ack, index) => index === 0 || ack > end.acks[index - 1]!));
  });

  test('a writer waits at 8 MiB that nobody acknowledges, and goes on with the acknowledge', async (t) => {
    const { relay, stream, end } = await opened(t);
    const block = Buffer.alloc(64 * 1024, 'x');
    let written = 0;
    let taken = 0;
    const write = () => {
      while (written < 20 * 2 ** 20) {
        written += block.length;
        if (!stream.write(block, () => (taken += block.length))) return;
      }
    };
    stream.on('drain', write);
    write();
    await until(() => end.received >= 8 * 2 ** 20 - block.length);
    await settle(100);
    assert.ok(taken <= 8 * 2 ** 20, `${taken} bytes were taken`);
    end.ws.on('message', () => end.send(frames.ack(total(relay))));
    end.send(frames.ack(total(relay)));
    await until(() => end.received === written && written >= 20 * 2 ** 20);
  });
});

suite('coming back', () => {
  for (const how of ['reset', 'fin', 'close 1001', 'close 1011'] as const) {
    test(`after ${how}: both directions go on where they were`, async (t) => {
      const { relay, stream, end, text } = await opened(t);
      stream.write('before');
      end.send(frames.data('down1'));
      await until(() => end.received === 6 && text() === 'down1');
      if (how === 'reset') end.reset();
      else if (how === 'fin') end.socket.end();
      else end.ws.close(Number(how.slice(6)));
      const second = await relay.end(2);
      assert.equal(second.path, '/v4/reconnect');
      assert.equal(second.query.get('sid'), 'sid');
      assert.equal(second.query.get('ack'), '5');
      stream.write('after');
      second.send(frames.data('down2'));
      await until(() => second.received === 5 && text() === 'down1down2');
      assert.equal(second.bytes.toString(), 'after');
      assert.deepEqual(
        relay.events.map(({ type }) => type).filter((type) => type !== 'phase'),
        ['session-started', 'reconnecting', 'renewed'],
      );
    });
  }

  test('4004 in the middle: a new token, then on', async (t) => {
    const { relay, end, stream } = await opened(t);
    end.ws.close(4004, 'reauth');
    const second = await relay.end(2);
    assert.equal(relay.source.renewed, 1);
    assert.equal(second.request.headers.authorization, 'Bearer token-1');
    stream.write('x');
    await until(() => second.received === 1);
  });

  for (const [name, expected, onOpen] of [
    ['the session is unknown', 'CT_SESSION_ENDED', (end: RelayEnd) => end.ws.close(4001)],
    ['the bytes are gone', 'CT_SESSION_ENDED', (end: RelayEnd) => end.ws.close(4074)],
    ['an impossible rewind', 'CT_PROTO_FRAME', (end: RelayEnd) => end.send(frames.resumed(77))],
    ['a new session id', 'CT_PROTO_FRAME', (end: RelayEnd) => end.send(frames.sid('other'))],
    ['the end, without the rest', 'CT_SESSION_ENDED', (end: RelayEnd) => end.ws.close(4010)],
    ['unknown trouble, three times', 'CT_SERVICE', (end: RelayEnd) => end.ws.close(4000)],
    ['a token that is refused again', 'CT_CREDENTIALS_EXPIRED', (end: RelayEnd) => end.ws.close(4004)],
  ] as const) {
    test(`${name}: the stream is reset with ${expected}, never continued with a hole`, async (t) => {
      const { relay, stream, end, fate, clock, tunnel } = await opened(t);
      stream.write('12345');
      await until(() => end.received === 5);
      relay.onOpen = onOpen;
      end.reset();
      await passing(clock, () => fate.closed);
      assert.ok(fate.error);
      code(expected)(fate.error);
      assert.equal(fate.ended, false);
      assert.equal(tunnel.stats().sessions, 0);
      const last = relay.events.at(-1);
      assert.equal(last?.type, 'session-ended');
    });
  }

  test('HTTP 503 and refused websockets are tried again until 15 minutes are over, local bytes waiting', async (t) => {
    const { relay, stream, end, fate, clock } = await opened(t);
    end.reset();
    for (let count = 0; count < 300; count += 1) relay.statuses.push(503);
    await passing(clock, () => relay.requests.length > 5);
    assert.equal(fate.closed, false);
    stream.write('patience');
    relay.statuses.length = 0;
    await passing(clock, () => relay.ends.length === 2);
    await until(() => relay.ends[1]!.received === 8);
    assert.equal(relay.ends[1]!.bytes.toString(), 'patience');
    relay.ends[1]!.reset();
    for (let count = 0; count < 300; count += 1) relay.statuses.push(503);
    await passing(clock, () => fate.closed);
    code('CT_TUNNEL_LOST')(fate.error);
    assert.ok(clock.now() > 15 * 60_000);
  });

  test('a service that cuts right after tag 2 does not start the delays anew', async (t) => {
    const { relay, end, fate, clock } = await opened(t);
    const { onOpen } = relay;
    relay.onOpen = (other) => {
      onOpen(other);
      setImmediate(() => other.reset());
    };
    end.reset();
    await passing(clock, () => fate.closed, 5_000);
    code('CT_TUNNEL_LOST')(fate.error);
    assert.ok(relay.ends.length < 150, `${relay.ends.length} attempts`);
  });

  test('4002 is waited out', async (t) => {
    const { relay, stream, end, clock } = await opened(t);
    const { onOpen } = relay;
    relay.onOpen = (other) => (relay.ends.length < 5 ? other.ws.close(4002) : onOpen(other));
    end.reset();
    await passing(clock, () => relay.ends.length === 5);
    stream.write('x');
    await until(() => relay.ends[4]!.received === 1);
  });
});

suite('the end', () => {
  for (const closeCode of [1000, 4009, 4010]) {
    test(`${closeCode} after data is a regular end, after everything was delivered`, async (t) => {
      const { end, fate, text, relay } = await opened(t);
      end.send(frames.data('all'), frames.data(' of it'));
      end.ws.close(closeCode);
      await until(() => fate.closed);
      assert.equal(text(), 'all of it');
      assert.deepEqual(fate, { ended: true, closed: true });
      assert.equal(relay.ends.length, 1);
    });
  }

  test('what comes after a Close is not delivered', async (t) => {
    const { end, fate, text } = await opened(t);
    end.send(frames.data('last'));
    end.ws.close(4010);
    end.socket.write(Buffer.from('820900040000000378', 'hex'));
    await until(() => fate.closed);
    assert.equal(text(), 'last');
    assert.equal(fate.error, undefined);
  });

  test('a reader that is behind still gets everything, then the end', async (t) => {
    const { relay, tunnel } = await started(t);
    const stream = await tunnel.open(never);
    const end = await relay.end(1);
    for (let count = 0; count < 20; count += 1) end.send(frames.data(pattern(0, 16_384)));
    end.ws.close(4010);
    await until(() => tunnel.stats().bytesDown === 20 * 16_384);
    await settle(20);
    let got = 0;
    for await (const bytes of stream) got += (bytes as Buffer).length;
    assert.equal(got, 20 * 16_384);
  });

  test('destroying closes the session with 1000, after what was written', async (t) => {
    const { stream, end, tunnel } = await opened(t);
    stream.write('last words');
    stream.destroy();
    await until(() => end.closed !== undefined);
    assert.equal(end.closed, 1000);
    assert.equal(end.bytes.toString(), 'last words');
    await until(() => tunnel.stats().sessions === 0);
  });

  test('a local end waits for the confirmation, still hears the answer, and closes after silence', async (t) => {
    const { relay, stream, end, fate, clock, text } = await opened(t);
    let isFinished = false;
    stream.on('finish', () => {
      isFinished = true;
    });
    stream.end('request');
    await until(() => end.received === 7);
    await settle();
    assert.equal(isFinished, false);
    end.send(frames.ack(7));
    await until(() => isFinished);
    await clock.advance(GRACE_MS - 1_000);
    end.send(frames.data('answer'));
    await until(() => text() === 'answer');
    await clock.advance(GRACE_MS - 1_000);
    assert.equal(fate.ended, false);
    assert.equal(end.closed, undefined);
    await passing(clock, () => fate.closed);
    await until(() => end.closed !== undefined);
    assert.deepEqual([fate.ended, fate.error, end.closed], [true, undefined, 1000]);
    assert.equal(relay.ends.length, 1);
  });

  test('a link that is lost after the local end is resumed, and the silence begins anew', async (t) => {
    const { relay, stream, end, fate, clock, text } = await opened(t);
    stream.end('request');
    await until(() => end.received === 7);
    end.send(frames.ack(7));
    await clock.advance(GRACE_MS - 1_000);
    end.reset();
    const second = await relay.end(2);
    await settle();
    await clock.advance(GRACE_MS - 1_000);
    assert.equal(fate.ended, false);
    second.send(frames.data('late'));
    await until(() => text() === 'late');
  });

  test('disposing ends streams and sessions and leaves no timer', async (t) => {
    const { tunnel, fate, end, clock } = await opened(t);
    await tunnel[Symbol.asyncDispose]();
    assert.equal((await tunnel.closed).reason, 'closed-by-us');
    await until(() => end.closed === 1000);
    assert.equal(fate.closed, true);
    assert.equal(clock.pending, 0);
    await assert.rejects(tunnel.open(never), code('CT_TUNNEL_LOST'));
  });

  test('disposing while a stream is opened, and while one comes back, ends both', async (t) => {
    const { relay, tunnel, end, fate, clock } = await opened(t);
    relay.onOpen = () => {};
    end.reset();
    await relay.end(2);
    const opening = assert.rejects(tunnel.open(never), code('CT_TUNNEL_LOST'));
    await relay.end(3);
    await tunnel[Symbol.asyncDispose]();
    await opening;
    assert.equal(fate.closed, true);
    assert.equal(clock.pending, 0);
  });
});

suite('a dead peer', () => {
  test('is noticed 45 s after the first ping it does not answer, and the session comes back', async (t) => {
    const { relay, end, clock } = await opened(t);
    await clock.advance(25_000);
    await until(() => end.pings === 1);
    await settle(20);
    end.socket.pause();
    await clock.advance(25_000);
    await clock.advance(44_000);
    assert.equal(relay.ends.length, 1);
    await clock.advance(1_000);
    await relay.end(2);
    assert.match(JSON.stringify(relay.events), /did not answer a ping for 45 s/);
  });
});

suite('a reader that acts while it hears', () => {
  test('writes and closes in the middle of a delivery: what it wrote leaves before the Close', async (t) => {
    const { tunnel, relay } = await started(t);
    const stream = await tunnel.open(never);
    const end = await relay.end(1);
    stream.on('data', () => {
      stream.write('bye');
      stream.destroy();
    });
    end.send(frames.data('one'), frames.data('two'), frames.data('three'));
    await until(() => end.closed !== undefined);
    assert.equal(end.bytes.toString(), 'bye');
    assert.equal(end.closed, 1000);
  });

  test('stops in the middle of a delivery: the rest waits, whole', async (t) => {
    const { tunnel, relay } = await started(t);
    const stream = await tunnel.open(never);
    const end = await relay.end(1);
    const heard: Buffer[] = [];
    stream.on('data', (bytes: Buffer) => {
      heard.push(bytes);
      stream.pause();
    });
    end.send(frames.data('one'), frames.data('two'), frames.data('three'));
    await until(() => tunnel.stats().bytesDown === 11);
    await settle();
    assert.equal(Buffer.concat(heard).toString(), 'one');
    while (Buffer.concat(heard).length < 11) {
      stream.resume();
      await settle();
    }
    assert.equal(Buffer.concat(heard).toString(), 'onetwothree');
  });
});

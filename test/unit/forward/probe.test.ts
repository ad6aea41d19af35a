import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { duplexPair } from 'node:stream';
import { describe, test } from 'node:test';
import { CloudtunError } from '../../../src/domain/errors.ts';
import type { Engine } from '../../../src/domain/target.ts';
import { encodePacket } from '../../../src/forward/core/mysql-packets.ts';
import { SSL_REQUEST } from '../../../src/forward/core/postgres-probe.ts';
import type { ProbeSubject } from '../../../src/forward/forward-types.ts';
import { probe } from '../../../src/forward/probe.ts';
import { type FarSide, farSide } from '../../support/far-side.ts';
import { manualWorld, settle } from '../../support/manual-world.ts';

interface Vector {
  readonly name: string;
  readonly hex: string;
}
const vectors = JSON.parse(
  readFileSync(new URL('../../vectors/mysql-greetings.json', import.meta.url), 'utf8'),
) as Record<'greetings' | 'refusals', readonly Vector[]>;
const vector = (kind: keyof typeof vectors, name: string): Buffer =>
  Buffer.from(vectors[kind].find((each) => each.name === name)!.hex, 'hex');
const GREETING = vector('greetings', 'MySQL 8.0');
const BLOCKED = vector('refusals', 'blocked host');
const ACCESS_DENIED = encodePacket(2, Buffer.from('ff15042332383030304163636573732064656e696564', 'hex'));
/** StartupMessage of a client that does not ask for TLS. */
const STARTUP = Buffer.from('0000001700030000757365720061707000', 'hex');

function start(engine: Engine | undefined, side: FarSide = farSide()) {
  const { world, clock } = manualWorld();
  const abort = new AbortController();
  let opened = 0;
  const subject: ProbeSubject = { to: { host: 'orders-prod', port: 3306 }, ...(engine && { engine }) };
  const open = async () => {
    opened += 1;
    return side.stream;
  };
  const found = probe(open, subject, world, abort.signal);
  found.catch(() => {});
  return { ...side, world, clock, abort, found, opened: () => opened };
}

/** A client's connection as the listener accepts it, and the client's own end. */
function client() {
  const [socket, theirs] = duplexPair();
  socket.on('error', () => {});
  theirs.on('error', () => {});
  return { socket, theirs };
}

/** Everything that can be read now. */
function readAll(stream: { read(): unknown }): Buffer {
  const chunks: Buffer[] = [];
  for (let chunk = stream.read(); chunk !== null; chunk = stream.read()) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function failure(found: Promise<unknown>): Promise<CloudtunError> {
  const error = await found.then(
    () => assert.fail('it succeeded'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof CloudtunError, String(error));
  return error;
}

describe('a probe of MySQL', () => {
  test('is ready at the greeting, and says which server it is', async () => {
    const { far, found, opened, received } = start('mysql');
    far.write(GREETING.subarray(0, 20));
    await settle();
    far.write(GREETING.subarray(20));
    assert.deepEqual((await found).readiness, { kind: 'ready', greeting: 'MySQL 8.0.42' });
    assert.equal(opened(), 1);
    assert.equal(received().length, 0, 'nothing is said to the server before it is known what to say');
  });

  test('hands the stream with its greeting to the first client, and only to that', async () => {
    const { far, found, clock, stream } = start('mariadb');
    far.write(GREETING);
    const probed = await found;
    const taken = await probed.takeOver(client().socket);
    assert.equal(taken, stream);
    assert.equal(await probed.takeOver(client().socket), undefined);
    assert.deepEqual(readAll(taken!), GREETING);
    assert.equal(clock.pending, 0, 'a timer was left behind');
    await probed.release();
    assert.equal(taken!.destroyed, false, 'release took the stream away from its client');
  });

  test('what is handed over flows like any stream', async () => {
    const { far, found, received } = start('mysql');
    far.write(GREETING);
    const taken = await (await found).takeOver(client().socket);
    const chunks: Buffer[] = [];
    taken!.on('data', (bytes: Buffer) => chunks.push(bytes));
    far.write('more');
    await settle();
    assert.deepEqual(Buffer.concat(chunks), Buffer.concat([GREETING, Buffer.from('more')]));
    taken!.write('back');
    far.end();
    let ended = false;
    taken!.on('end', () => {
      ended = true;
    });
    await settle();
    assert.equal(received().toString(), 'back');
    assert.equal(ended, true);
  });

  test('without a client for 8 s it signs in as nobody, and closes after the refusal', async () => {
    const { far, found, clock, received, stream } = start('mysql');
    far.write(GREETING);
    const probed = await found;
    await clock.advance(7_999);
    assert.equal(received().length, 0);
    await clock.advance(1);
    assert.match(received().toString('latin1'), /cloudtun_probe\0/);
    assert.equal(stream.destroyed, false, 'it hung up before the server had answered');
    assert.equal(await probed.takeOver(client().socket), undefined);
    far.write(ACCESS_DENIED);
    await settle();
    assert.equal(stream.destroyed, true);
    assert.equal(clock.pending, 0);
  });

  test('release does so at once, and waits for it; twice is once', async () => {
    const { far, found, received, stream } = start('mysql');
    far.write(GREETING);
    const probed = await found;
    const released = Promise.all([probed.release(), probed.release()]);
    await settle();
    const sent = received().length;
    assert.ok(sent > 0);
    far.write(
      encodePacket(2, Buffer.concat([Buffer.of(0xfe), Buffer.from('mysql_native_password\0'), Buffer.alloc(21)])),
    );
    await settle();
    assert.deepEqual(received().subarray(sent), Buffer.from('00000003', 'hex'));
    far.write(ACCESS_DENIED);
    await released;
    assert.equal(stream.destroyed, true);
  });

  test('a server that does not answer the goodbye is left after 3 s', async () => {
    const { far, found, clock, stream } = start('mysql');
    far.write(GREETING);
    const released = (await found).release();
    await clock.advance(3_000);
    await released;
    assert.equal(stream.destroyed, true);
  });

  test('a server that breaks off the goodbye, or talks nonsense in it, does no harm', async () => {
    for (const bytes of [Buffer.from('ffffffffff', 'hex'), undefined]) {
      const { far, found, stream } = start('mysql');
      far.write(GREETING);
      const released = (await found).release();
      if (bytes) far.write(bytes);
      else far.end();
      await released;
      assert.equal(stream.destroyed, true);
    }
  });

  test('a stream that the server closes meanwhile is not handed over', async () => {
    const { far, found, clock } = start('mysql');
    far.write(GREETING);
    const probed = await found;
    far.end();
    await settle();
    assert.equal(await probed.takeOver(client().socket), undefined);
    assert.equal(clock.pending, 0);
  });

  test('a client that is gone already gets nothing, and the stream waits for the next', async () => {
    const { far, found, stream } = start('mysql');
    far.write(GREETING);
    const probed = await found;
    const gone = client().socket;
    gone.destroy();
    assert.equal(await probed.takeOver(gone), undefined);
    assert.equal(await probed.takeOver(client().socket), stream);
  });

  test('a blocked address is told in the words of the server', async () => {
    const { far, found, stream, clock } = start('mysql');
    far.end(BLOCKED);
    const error = await failure(found);
    assert.equal(error.code, 'CT_DATABASE_REFUSED');
    assert.match(error.message, /^orders-prod:3306 answered with MySQL error 1129: Host '10\.98\.0\.2' is blocked/);
    assert.match(error.hints.join(), /FLUSH HOSTS/);
    assert.equal(stream.destroyed, true);
    assert.equal(clock.pending, 0);
  });

  test('another protocol is an error of its own', async () => {
    const { far, found } = start('mysql');
    far.write('SSH-2.0-OpenSSH_9.2p1\r\n');
    assert.equal((await failure(found)).code, 'CT_REMOTE_UNEXPECTED');
  });

  test('10 s without a greeting are an error', async () => {
    const { found, clock, stream } = start('mysql');
    await clock.advance(9_999);
    assert.equal(stream.destroyed, false);
    await clock.advance(1);
    const error = await failure(found);
    assert.equal(error.code, 'CT_REMOTE_SILENT');
    assert.equal(error.message, 'orders-prod:3306 sent no greeting within 10 s');
    assert.equal(stream.destroyed, true);
  });

  test('a refusal passes through as it is', async () => {
    const { found, stream, clock } = start('mysql');
    await settle();
    const refused = new CloudtunError('CT_REMOTE_REFUSED', 'connection refused');
    stream.destroy(refused);
    assert.equal(await failure(found), refused);
    assert.equal(clock.pending, 0);
  });

  test('a far side that closes without a word refused', async () => {
    const { far, found } = start('mysql');
    far.end();
    assert.equal((await failure(found)).code, 'CT_REMOTE_REFUSED');
  });

  test('an abort ends it with its reason', async () => {
    const { found, abort, stream, clock } = start('mysql');
    await settle();
    const reason = new CloudtunError('CT_TIMEOUT', 'enough');
    abort.abort(reason);
    assert.equal(await failure(found), reason);
    assert.equal(stream.destroyed, true);
    assert.equal(clock.pending, 0);
  });
});

describe('a probe of PostgreSQL', () => {
  test('asks, and is ready at the answer', async () => {
    const { far, found, received } = start('postgres');
    await settle();
    assert.deepEqual(received(), Buffer.from(SSL_REQUEST));
    far.write('S');
    assert.deepEqual((await found).readiness, { kind: 'ready', greeting: 'PostgreSQL' });
  });

  test('a client that asks the same gets the answer that is there already', async () => {
    const { far, found, received, stream } = start('postgres');
    far.write('N');
    const probed = await found;
    const { socket, theirs } = client();
    const taking = probed.takeOver(socket);
    theirs.write(SSL_REQUEST.subarray(0, 5));
    await settle();
    assert.equal(await probed.takeOver(client().socket), undefined, 'a second client must not wait for the first');
    theirs.write(Buffer.concat([SSL_REQUEST.subarray(5), STARTUP]));
    const taken = await taking;
    assert.equal(taken, stream);
    assert.equal(readAll(taken!).toString(), 'N');
    assert.deepEqual(readAll(socket), STARTUP, 'the question was not swallowed, or more than it');
    assert.deepEqual(received(), Buffer.from(SSL_REQUEST), 'the server was asked twice');
  });

  test('a client that opens otherwise keeps its bytes, and the kept stream goes', async () => {
    const { far, found, stream, clock } = start('postgres');
    far.write('N');
    const probed = await found;
    const { socket, theirs } = client();
    theirs.write(STARTUP);
    assert.equal(await probed.takeOver(socket), undefined);
    assert.deepEqual(readAll(socket), STARTUP);
    assert.equal(stream.destroyed, true);
    assert.equal(clock.pending, 0);
  });

  test('a client that closes first leaves the stream to the next', async () => {
    const { far, found, stream } = start('postgres');
    far.write('N');
    const probed = await found;
    const first = client();
    first.theirs.end('abc');
    assert.equal(await probed.takeOver(first.socket), undefined);
    assert.equal(readAll(first.socket).toString(), 'abc');
    const second = client();
    second.theirs.write(SSL_REQUEST);
    assert.equal(await probed.takeOver(second.socket), stream);
  });

  test('a client that says nothing waits 8 s at most', async () => {
    const { far, found, clock, stream, received } = start('postgres');
    far.write('S');
    const probed = await found;
    const { socket } = client();
    const taking = probed.takeOver(socket);
    await clock.advance(8_000);
    assert.equal(await taking, undefined);
    assert.equal(stream.destroyed, true);
    assert.deepEqual(received(), Buffer.from(SSL_REQUEST), 'nothing is owed to PostgreSQL');
    assert.equal(socket.listenerCount('readable'), 0, 'a listener was left on the client');
  });

  test('an error before the answer, whole or broken off, is told', async () => {
    const side = start('postgres');
    side.far.end('Ecould not fork');
    const error = await failure(side.found);
    assert.equal(error.code, 'CT_DATABASE_REFUSED');
    assert.match(error.message, /could not fork/);
  });

  test('10 s without an answer are an error', async () => {
    const { found, clock } = start('postgres');
    await clock.advance(10_000);
    assert.equal((await failure(found)).message, 'orders-prod:3306 did not answer within 10 s');
  });
});

describe('a probe of an engine that waits for its client', () => {
  for (const engine of ['sqlserver', 'oracle', 'other', undefined] as const) {
    test(`${engine ?? 'unknown'}: open after 500 ms without a refusal`, async () => {
      const { found, accept, clock, stream, received } = start(engine);
      let isSettled = false;
      void found.then(() => {
        isSettled = true;
      });
      await clock.advance(2_000);
      assert.equal(isSettled, false, 'not taken yet');
      accept('acknowledged');
      await clock.advance(499);
      assert.equal(isSettled, false, 'too early');
      await clock.advance(1);
      const probed = await found;
      assert.deepEqual(probed.readiness, { kind: 'open' });
      assert.equal(received().length, 0);
      assert.equal(await probed.takeOver(client().socket), stream);
    });
  }

  test('a far connection that is known to stand is ready at once, and stays for the client', async () => {
    const { found, accept, clock, stream } = start(undefined);
    accept('connected');
    const probed = await found;
    assert.deepEqual(probed.readiness, { kind: 'ready' });
    assert.equal(await probed.takeOver(client().socket), stream);
    assert.equal(clock.pending, 0);
  });

  test('an engine that should greet is waited for though the connection stands', async () => {
    const { found, accept, clock } = start('mysql');
    accept('connected');
    await clock.advance(10_000);
    assert.equal((await failure(found)).code, 'CT_REMOTE_SILENT');
  });

  test('a refusal within the 500 ms is a refusal', async () => {
    const { found, accept, clock, stream } = start(undefined);
    accept('acknowledged');
    await clock.advance(400);
    const refused = new CloudtunError('CT_REMOTE_REFUSED', 'connection refused');
    stream.destroy(refused);
    assert.equal(await failure(found), refused);
    assert.equal(clock.pending, 0);
  });

  test('a word of it is ready, and stays for the client', async () => {
    const { found, far } = start(undefined);
    far.write('SSH-2.0-OpenSSH_9.2p1\r\n');
    const probed = await found;
    assert.deepEqual(probed.readiness, { kind: 'ready' });
    assert.equal(readAll((await probed.takeOver(client().socket))!).toString(), 'SSH-2.0-OpenSSH_9.2p1\r\n');
  });

  test('a MySQL nobody knew of is recognised, and left like one', async () => {
    const { found, far, received, stream } = start(undefined);
    far.write(GREETING);
    const probed = await found;
    assert.deepEqual(probed.readiness, { kind: 'ready', greeting: 'MySQL 8.0.42' });
    const released = probed.release();
    await settle();
    assert.match(received().toString('latin1'), /cloudtun_probe\0/);
    far.write(ACCESS_DENIED);
    await released;
    assert.equal(stream.destroyed, true);
  });

  test('so is one whose greeting comes late', async () => {
    const { found, far, accept, clock, received } = start('other');
    accept('acknowledged');
    await clock.advance(500);
    const probed = await found;
    assert.deepEqual(probed.readiness, { kind: 'open' });
    far.write(GREETING);
    await settle();
    void probed.release();
    await settle();
    assert.match(received().toString('latin1'), /cloudtun_probe\0/);
    far.write(ACCESS_DENIED);
  });

  test('a far side that never takes the request is silent', async () => {
    const { found, clock } = start('other');
    await clock.advance(10_000);
    const error = await failure(found);
    assert.equal(error.code, 'CT_REMOTE_SILENT');
    assert.equal(error.message, 'orders-prod:3306 did not take the connection within 10 s');
  });

  test('a flood before the client comes is held back, not held', async () => {
    const { found, far } = start('other');
    let written = 0;
    while (far.write(Buffer.alloc(16_384)) && written < 4_000_000) written += 16_384;
    const probed = await found;
    for (let round = 0; round < 200; round += 1) {
      if (!far.writableNeedDrain) {
        far.write(Buffer.alloc(16_384));
        written += 16_384;
      }
      await settle(1);
    }
    assert.ok(written < 1_000_000, `${written} bytes were taken in`);
    await probed.release();
  });
});

test('what `open` fails with is what the probe fails with', async () => {
  const { world, clock } = manualWorld();
  const denied = new CloudtunError('CT_DENIED', 'no');
  const found = probe(() => Promise.reject(denied), { engine: 'mysql' }, world, new AbortController().signal);
  assert.equal(await failure(found), denied);
  assert.equal(clock.pending, 0);
});

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { PassThrough, Readable, Writable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { runCommand } from '../../../src/ssh/run-command.ts';
import { manualWorld, settle } from '../../support/manual-world.ts';
import { loggedIn } from '../../support/ssh-client.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { type Command, TestSshd } from '../../support/test-sshd.ts';
import { until } from '../../support/until.ts';

const never = () => new AbortController().signal;
const SIZE = 20 * 1024 * 1024;

class Collected extends Writable {
  readonly hash = createHash('sha256');
  byteCount = 0;
  text = '';
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.hash.update(chunk);
    this.byteCount += chunk.length;
    if (this.byteCount < 10_000) this.text += chunk;
    done();
  }
}

/** 20 MiB that are not the same everywhere. */
function* load(): Generator<Buffer> {
  for (let index = 0; index < SIZE / 65_536; index += 1) yield Buffer.alloc(65_536, `${index} `);
}

const digestOfLoad = () => {
  const hash = createHash('sha256');
  for (const chunk of load()) hash.update(chunk);
  return hash.digest('hex');
};

const COMMANDS: Readonly<Record<string, Command>> = {
  'echo hi; echo no >&2; exit 7': (channel) => {
    channel.write('hi\n');
    channel.stderr.write('no\n');
    channel.exit(7);
    channel.end();
  },
  'kill -9 $$': (channel) => {
    channel.exit('KILL', false);
    channel.end();
  },
  cat: (channel) => {
    channel.pipe(channel, { end: false });
    channel.on('end', () => {
      channel.exit(0);
      channel.end();
    });
  },
  source: (channel) => {
    const source = Readable.from(load());
    source.pipe(channel, { end: false });
    source.once('end', () => {
      channel.exit(0);
      channel.end();
    });
  },
  vanish: (channel) => channel.close(),
  wait: () => {},
};

async function rig(t: TestContext) {
  const { world } = manualWorld({ home: await temporaryDirectory(t) });
  const sshd = await new TestSshd({ commands: COMMANDS }).listen();
  const connection = await loggedIn(world, sshd);
  t.after(async () => {
    await connection[Symbol.asyncDispose]();
    await sshd[Symbol.asyncDispose]();
  });
  return { sshd, connection, output: new Collected(), errors: new Collected() };
}

test('exit code, output and errors apart', async (t) => {
  const { connection, output, errors } = await rig(t);
  const report = await runCommand(connection, 'echo hi; echo no >&2; exit 7', { output, errors }, never());
  assert.deepEqual(report, { end: { code: 7 }, bytesUp: 0, bytesDown: 6 });
  assert.deepEqual([output.text, errors.text], ['hi\n', 'no\n']);
});

test('the signal that ended it', async (t) => {
  const { connection, output, errors } = await rig(t);
  const report = await runCommand(connection, 'kill -9 $$', { output, errors }, never());
  assert.deepEqual(report.end, { signal: 'KILL' });
});

test('20 MiB through the input and back, byte-exact', async (t) => {
  const { connection, output, errors } = await rig(t);
  const report = await runCommand(connection, 'cat', { input: Readable.from(load()), output, errors }, never());
  assert.deepEqual(report, { end: { code: 0 }, bytesUp: SIZE, bytesDown: SIZE });
  assert.equal(output.hash.digest('hex'), digestOfLoad());
});

test('a reader that does not read stops the far side', async (t) => {
  const { connection, errors } = await rig(t);
  const output = new PassThrough({ highWaterMark: 1024 });
  const running = runCommand(connection, 'source', { output, errors }, never());
  await until(() => output.writableNeedDrain);
  await settle(200);
  // What is on the way is the window of one channel and no more.
  assert.ok(output.writableLength < 3 * 1024 * 1024, `${output.writableLength} bytes wait`);
  const hash = createHash('sha256');
  output.on('data', (chunk: Buffer) => hash.update(chunk));
  assert.equal((await running).bytesDown, SIZE);
  output.end();
  assert.equal(hash.digest('hex'), digestOfLoad());
});

test('a reader that goes away ends the command', async (t) => {
  const { connection, errors } = await rig(t);
  const output = new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) });
  const running = runCommand(connection, 'source', { output, errors }, never());
  await assert.rejects(running, { code: 'CT_OUTPUT' });
});

test('refused, without a result, cut, called off', async (t) => {
  const { connection, sshd, output, errors } = await rig(t);
  const run = (command: string, signal = never()) => runCommand(connection, command, { output, errors }, signal);
  await assert.rejects(run('unknown'), { code: 'CT_REMOTE_REFUSED' });
  await assert.rejects(run('vanish'), {
    code: 'CT_TUNNEL_LOST',
    message: 'the session on web-1 ended without a result',
  });
  const calledOff = new AbortController();
  const waiting = run('wait', calledOff.signal);
  await until(() => sshd.sessions.length === 3);
  calledOff.abort(new Error('enough'));
  await assert.rejects(waiting, { message: 'enough' });
  const running = run('wait');
  await until(() => sshd.sessions.length === 4);
  sshd.cut();
  await assert.rejects(running, { code: 'CT_TUNNEL_LOST' });
  await assert.rejects(run('cat'), { code: 'CT_TUNNEL_LOST' });
});

import assert from 'node:assert/strict';
import { PassThrough, Writable } from 'node:stream';
import test from 'node:test';
import { CloudtunError } from '../../../src/domain/errors.ts';
import { spliceStdio } from '../../../src/fast/stdio-splice.ts';
import { FakeStream } from '../../support/fake-stream.ts';
import { manualWorld, settle } from '../../support/manual-world.ts';

class Output extends Writable {
  readonly chunks: Buffer[] = [];
  readonly waiting: ((error?: Error) => void)[] = [];
  isHolding = false;
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    this.chunks.push(chunk);
    if (this.isHolding) this.waiting.push(done);
    else done();
  }
  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }
}

function joined() {
  const { world, clock } = manualWorld();
  const [input, output, stream, stop] = [new PassThrough(), new Output(), new FakeStream(), new AbortController()];
  const counts = { bytesUp: 0, bytesDown: 0 };
  const closed = spliceStdio(world, input, output, stream, counts, stop.signal);
  const ended = closed.then(
    () => 'ended',
    (error: unknown) => (error instanceof CloudtunError ? error.code : error),
  );
  return { clock, input, output, stream, stop, counts, ended };
}

test('the end of the input ends the upload, and the answer still comes', async () => {
  const { input, output, stream, counts, ended } = joined();
  input.end('question');
  await settle();
  assert.deepEqual([stream.text, stream.isEndedByNearSide, stream.destroyed], ['question', true, false]);
  stream.say('answer');
  stream.sayEnd();
  assert.equal(await ended, 'ended');
  assert.deepEqual([output.text, output.writableFinished, counts], ['answer', true, { bytesUp: 8, bytesDown: 6 }]);
});

test('after the end of the input a far side that says nothing for a minute is left', async () => {
  const { clock, input, stream, output, ended } = joined();
  input.end('x');
  await settle();
  clock.advance(59_000);
  stream.say('late');
  await settle();
  clock.advance(59_999);
  assert.equal(stream.destroyed, false);
  clock.advance(1);
  assert.equal(await ended, 'ended');
  assert.equal(output.text, 'late');
});

test('after the end of the answer what is still typed goes up until it stops', async () => {
  const { clock, input, output, stream, ended } = joined();
  stream.sayEnd();
  await settle();
  assert.equal(output.writableEnded, true);
  clock.advance(900);
  input.write('more');
  await settle();
  clock.advance(900);
  assert.deepEqual([stream.text, stream.destroyed], ['more', false]);
  clock.advance(100);
  assert.equal(await ended, 'ended');
});

test('each side is read at the pace of the other', async () => {
  const { input, output, stream } = joined();
  stream.hold();
  output.isHolding = true;
  for (let count = 0; count < 64; count += 1) {
    input.write(Buffer.alloc(16_384));
    stream.say(Buffer.alloc(16_384));
  }
  await settle();
  assert.equal(input.isPaused(), true);
  assert.ok(stream.writableLength <= 2 * 65_536, `${stream.writableLength} bytes wait for the tunnel`);
  assert.equal(stream.isPaused(), true);
  assert.ok(output.writableLength <= 2 * 65_536, `${output.writableLength} bytes wait for the reader`);
  stream.takeAll();
  output.isHolding = false;
  for (const taken of output.waiting.splice(0)) taken();
  await settle(200);
  assert.equal(Buffer.concat(stream.written).length, 64 * 16_384);
  assert.equal(Buffer.concat(output.chunks).length, 64 * 16_384);
});

test('a stream that breaks, one that is cut off, an output that nobody reads, a signal', async () => {
  const broken = joined();
  broken.stream.destroy(new CloudtunError('CT_NETWORK', 'gone'));
  assert.equal(await broken.ended, 'CT_NETWORK');
  const cut = joined();
  cut.stream.destroy();
  assert.equal(await cut.ended, 'CT_SESSION_ENDED');
  const unread = joined();
  unread.output.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
  assert.equal(await unread.ended, 'ended');
  assert.equal(unread.stream.destroyed, true);
  const full = joined();
  full.output.destroy(Object.assign(new Error('write ENOSPC'), { code: 'ENOSPC' }));
  assert.equal(await full.ended, 'CT_OUTPUT');
  const stopped = joined();
  const reason = new Error('told to');
  stopped.stop.abort(reason);
  assert.equal(await stopped.ended, reason);
  assert.equal(stopped.stream.destroyed, true);
});

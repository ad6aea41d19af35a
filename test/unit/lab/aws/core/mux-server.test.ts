import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MuxServer, PIPE_CAPACITY, RECEIVE_BUCKET } from '../../../../../src/lab/aws/core/mux-server.ts';
import { Observations } from '../../../../../src/lab/aws/core/observations.ts';
import { smux } from '../../../../support/ssm-peer.ts';

class Bench {
  readonly violations: string[] = [];
  readonly observations = new Observations((what) => this.violations.push(what));
  readonly log: string[] = [];
  received = 0;
  readonly mux: MuxServer;

  constructor(options: { readonly keepAlive?: boolean; readonly dials?: boolean } = {}) {
    this.mux = new MuxServer(
      {
        opened: (id) => {
          this.log.push(`open ${id}`);
          if (options.dials !== false) queueMicrotask(() => this.mux.dialled());
        },
        data: (id, bytes) => {
          this.received += bytes.length;
          if (bytes.length < 100) this.log.push(`data ${id} ${bytes.toString()}`);
        },
        finished: (id) => this.log.push(`fin ${id}`),
        unblocked: () => this.log.push('unblocked'),
        died: (ids) => this.log.push(`died ${ids.join(',')}`),
      },
      this.observations,
      options.keepAlive ?? false,
      0,
    );
  }

  output(): string {
    const frames = Buffer.alloc(this.mux.output.byteCount);
    this.mux.output.copy(frames, 0, frames.length);
    return frames.toString('hex');
  }
}

test('a target that does not read takes 4 MiB and a pipe, then nothing is taken any more, then all goes on', () => {
  const bench = new Bench();
  bench.mux.take(smux('syn', 3));
  const piece = smux('psh', 3, Buffer.alloc(32_768));
  let taken = 0;
  while (bench.mux.take(piece) === 'taken') taken += piece.length;
  assert.ok(taken > RECEIVE_BUCKET && taken <= RECEIVE_BUCKET + PIPE_CAPACITY + 2 * piece.length, `${taken} bytes`);
  assert.equal(bench.mux.take(smux('syn', 5)), 'blocked');
  bench.mux.consumed(bench.received);
  assert.deepEqual(bench.log, ['open 3', 'unblocked']);
  assert.equal(bench.mux.take(smux('syn', 5)), 'taken');
  assert.deepEqual(bench.log, ['open 3', 'unblocked', 'open 5']);
});

test('more streams than the accept queue holds wait in the pipe', () => {
  const bench = new Bench({ dials: false });
  for (let id = 3; id < 3 + 2 * 1_100; id += 2) bench.mux.take(smux('syn', id));
  assert.equal(bench.log.length, 1_024);
  bench.mux.dialled();
  assert.equal(bench.log.length, 1_025);
});

test('a message of megabytes does not go past the bucket', () => {
  const bench = new Bench();
  bench.mux.take(smux('syn', 3));
  const frames = Array.from({ length: 200 }, () => smux('psh', 3, Buffer.alloc(60_000)));
  assert.equal(bench.mux.take(Buffer.concat(frames)), 'taken');
  assert.ok(bench.received < RECEIVE_BUCKET + 65_536, `${bench.received} bytes`);
  assert.equal(bench.mux.take(smux('nop', 0)), 'blocked');
});

for (const [what, frame] of [
  ['another version', Buffer.from('0200000003000000', 'hex')],
  ['an unknown command', Buffer.from('0105000003000000', 'hex')],
] as const) {
  test(`${what}: open streams get FIN, and nothing is acknowledged after it`, () => {
    const bench = new Bench();
    bench.mux.take(Buffer.concat([smux('syn', 3), smux('syn', 5)]));
    assert.equal(bench.mux.take(frame), 'taken');
    assert.equal(bench.output(), `${smux('fin', 3).toString('hex')}${smux('fin', 5).toString('hex')}`);
    assert.equal(bench.mux.take(smux('psh', 3, 'late')), 'refused');
    assert.equal(bench.log.at(-1), 'died 3,5');
    assert.equal(bench.violations.length, 1);
  });
}

test('ids that do not rise, are even, or are not open are seen', () => {
  const bench = new Bench();
  bench.mux.take(Buffer.concat([smux('syn', 3), smux('fin', 3)]));
  bench.mux.close(3);
  bench.mux.take(
    Buffer.concat([smux('syn', 3), smux('syn', 4), smux('psh', 77, 'x'), smux('fin', 79), smux('fin', 79)]),
  );
  assert.deepEqual(bench.violations, [
    'SYN of stream 3 after stream 3: ids are odd and rise',
    'SYN of stream 4 after stream 3: ids are odd and rise',
    'PSH for stream 77, which is not open',
    'FIN of stream 79, which is not open',
    'FIN of stream 79, which is not open',
  ]);
});

test('data after FIN from the agent is dropped without complaint', () => {
  const bench = new Bench();
  bench.mux.take(smux('syn', 3));
  bench.mux.close(3);
  bench.mux.take(Buffer.concat([smux('psh', 3, 'late'), smux('fin', 3)]));
  assert.deepEqual(bench.log, ['open 3']);
  assert.deepEqual(bench.violations, []);
});

test('output is cut at 32,768 bytes a frame, FIN comes once', () => {
  const bench = new Bench();
  bench.mux.take(smux('syn', 3));
  bench.mux.write(3, Buffer.alloc(40_000, 'x'));
  bench.mux.close(3);
  bench.mux.close(3);
  const expected = [
    smux('psh', 3, Buffer.alloc(32_768, 'x')),
    smux('psh', 3, Buffer.alloc(7_232, 'x')),
    smux('fin', 3),
  ];
  assert.equal(bench.output(), Buffer.concat(expected).toString('hex'));
});

test('with keep-alive: NOP every 10 s, and the end after 30 to 60 s of silence', () => {
  const bench = new Bench({ keepAlive: true });
  bench.mux.take(smux('syn', 3));
  assert.equal(bench.mux.wakeAt, 10_000);
  bench.mux.tick(10_000);
  assert.equal(bench.output(), smux('nop', 0).toString('hex'));
  bench.mux.tick(30_000);
  assert.equal(bench.mux.isDead, false);
  bench.mux.tick(60_000);
  assert.equal(bench.mux.isDead, true);
  assert.equal(bench.mux.wakeAt, undefined);
});

test('with keep-alive: a NOP of the client keeps it alive', () => {
  const bench = new Bench({ keepAlive: true });
  for (let at = 10_000; at <= 120_000; at += 10_000) {
    bench.mux.take(smux('nop', 0));
    bench.mux.tick(at);
  }
  assert.equal(bench.mux.isDead, false);
  assert.equal(bench.observations.counters.nops, 12);
});

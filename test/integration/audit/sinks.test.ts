/** The journal at the log services of both clouds: in order, at least once, whatever is down. */
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { deliverJournal, type NamedSink, waitingFor } from '../../../src/audit/deliver-journal.ts';
import { readSinkState } from '../../../src/audit/sink-state.ts';
import type { CloudLog, LogLine } from '../../../src/domain/cloud-log.ts';
import { CloudtunError } from '../../../src/domain/errors.ts';
import { systemWorld, type World } from '../../../src/runtime/world.ts';
import { cliLab } from '../../support/cli-lab.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const never = new AbortController().signal;
const HOUR = 3_600_000;

/** A log service in memory, which can be down, and cut in the middle of a call. */
class MemoryLog implements CloudLog {
  limits = { lines: 4, byteCount: 100_000 };
  readonly got: LogLine[] = [];
  isDown = false;
  /** Takes the next call and does not say so. */
  isCut = false;

  async send(lines: readonly LogLine[]): Promise<{ refused: number }> {
    if (this.isDown) throw new CloudtunError('CT_NETWORK', 'it is down');
    assert.ok(lines.length <= this.limits.lines);
    this.got.push(...lines);
    if (this.isCut) throw new CloudtunError('CT_NETWORK', 'cut off');
    return { refused: 0 };
  }
}

interface Bench {
  readonly world: World;
  readonly path: string;
  readonly log: MemoryLog;
  readonly sink: NamedSink;
  write(segment: string, from: number, count: number): void;
  forward(by: number): void;
}

async function bench(t: Parameters<typeof temporaryDirectory>[0]): Promise<Bench> {
  const home = await temporaryDirectory(t);
  const base = systemWorld({ env: { HOME: home } });
  let ahead = 0;
  const clock = Object.create(base.clock, { wall: { value: () => base.clock.wall() + ahead } });
  for (const name of ['now', 'after', 'sleep'] as const)
    clock[name] = (base.clock[name] as () => void).bind(base.clock);
  const world: World = { ...base, clock };
  const path = join(home, 'journal');
  mkdirSync(path);
  const log = new MemoryLog();
  return {
    world,
    path,
    log,
    sink: { name: 'memory', open: async () => log },
    write: (segment, from, count) => {
      const file = join(path, `20261122T0${segment}0000000Z-host-1-aa.open.jsonl`);
      for (let seq = from; seq < from + count; seq += 1) {
        const time = new Date(Date.parse('2026-11-22T00:00:00Z') + seq * 1_000).toISOString();
        appendFileSync(file, `${JSON.stringify({ time, event: 'test', seq, of: segment })}\n`);
      }
    },
    forward: (by) => {
      ahead += by;
    },
  };
}

const numbers = ({ log }: Bench) => log.got.map(({ event }) => `${event.of}${event.seq}`);

suite('delivery of a journal', () => {
  test('sends what is new, in order of time over all segments, in parts that one call takes', async (t) => {
    const b = await bench(t);
    b.write('1', 0, 6);
    b.write('2', 3, 2);
    assert.deepEqual(await deliverJournal(b.world, b.path, b.sink, never), {
      outcome: 'delivered',
      lines: 8,
      refused: 0,
    });
    assert.deepEqual(numbers(b), ['10', '11', '12', '13', '23', '14', '24', '15']);
    b.write('1', 6, 1);
    await deliverJournal(b.world, b.path, b.sink, never);
    assert.deepEqual(numbers(b).slice(8), ['16']);
    assert.deepEqual(await deliverJournal(b.world, b.path, b.sink, never), {
      outcome: 'delivered',
      lines: 0,
      refused: 0,
    });
  });

  test('waits out a service that is down for a day, tells it once, and then sends everything', async (t) => {
    const b = await bench(t);
    b.log.isDown = true;
    b.write('1', 0, 1);
    const first = await deliverJournal(b.world, b.path, b.sink, never);
    assert.deepEqual([first.outcome, 'isNew' in first && first.isNew], ['failed', true]);
    assert.equal((await deliverJournal(b.world, b.path, b.sink, never)).outcome, 'paused', 'nobody waits for it again');
    for (let hour = 0; hour < 24; hour += 1) {
      b.forward(HOUR);
      b.write('1', 1 + hour, 1);
      const again = await deliverJournal(b.world, b.path, b.sink, never);
      assert.deepEqual([again.outcome, 'isNew' in again && again.isNew], ['failed', false]);
    }
    assert.equal(waitingFor(b.world, b.path, 'memory').lines, 25);
    b.log.isDown = false;
    b.forward(HOUR);
    await deliverJournal(b.world, b.path, b.sink, never);
    assert.deepEqual(
      numbers(b),
      Array.from({ length: 25 }, (_, seq) => `1${seq}`),
    );
    const { delivered, failing } = readSinkState(b.world, 'memory');
    assert.deepEqual([delivered, failing], [25, undefined]);
  });

  test('that was cut off before the answer came sends again, under the same ids, and loses nothing', async (t) => {
    const b = await bench(t);
    b.write('1', 0, 10);
    b.log.isCut = true;
    assert.equal((await deliverJournal(b.world, b.path, b.sink, never)).outcome, 'failed');
    b.log.isCut = false;
    await deliverJournal(b.world, b.path, b.sink, never, true);
    const ids = b.log.got.map(({ id }) => id);
    assert.equal(ids.length, 14, 'the four of the call that was cut came twice');
    assert.equal(new Set(ids).size, 10);
    assert.deepEqual(ids.slice(0, 4), ids.slice(4, 8));
  });

  test('goes on in the middle of a segment after a kill between two calls', async (t) => {
    const b = await bench(t);
    b.write('1', 0, 10);
    let calls = 0;
    const stop = new AbortController();
    const sink: NamedSink = {
      name: 'memory',
      open: async () => ({
        limits: b.log.limits,
        send: async (lines) => {
          const answer = await b.log.send(lines);
          calls += 1;
          if (calls === 1) stop.abort(new Error('killed'));
          return answer;
        },
      }),
    };
    await deliverJournal(b.world, b.path, sink, stop.signal);
    assert.equal(b.log.got.length, 4);
    await deliverJournal(b.world, b.path, b.sink, never, true);
    assert.deepEqual(
      numbers(b),
      Array.from({ length: 10 }, (_, seq) => `1${seq}`),
      'nothing twice',
    );
  });

  test('is one process at a time', async (t) => {
    const b = await bench(t);
    b.write('1', 0, 10);
    const all = await Promise.all(Array.from({ length: 4 }, () => deliverJournal(b.world, b.path, b.sink, never)));
    assert.equal(b.log.got.length, 10);
    assert.equal(
      all.filter(({ outcome }) => outcome === 'busy').length +
        all.filter((one) => one.outcome === 'delivered' && one.lines === 0).length,
      3,
    );
  });

  test('tells of a segment that was removed with lines that were not sent', async (t) => {
    const b = await bench(t);
    b.write('1', 0, 10);
    const sink: NamedSink = {
      name: 'memory',
      open: async () => ({
        limits: b.log.limits,
        send: async (lines) => {
          if (b.log.got.length > 0) throw new CloudtunError('CT_NETWORK', 'down');
          return b.log.send(lines);
        },
      }),
    };
    await deliverJournal(b.world, b.path, sink, never);
    const { rmSync, readdirSync } = await import('node:fs');
    for (const name of readdirSync(b.path)) rmSync(join(b.path, name));
    await deliverJournal(b.world, b.path, b.sink, never, true);
    assert.equal(readSinkState(b.world, 'memory').missed.length, 1);
  });
});

suite('the log services of the clouds', () => {
  const CATALOGUE = `version: 1
targets: { prod: { rds: prod } }
audit:
  sinks:
    - cloudwatch: { group: /cloudtun/audit }
    - cloudLogging: { log: cloudtun-audit, project: acme-practice }
`;

  test('have every line after a command, by themselves', async (t) => {
    const cli = await cliLab(t);
    writeFileSync(join(cli.home, 'cloudtun.yaml'), CATALOGUE);
    const open = cli.start(['rds', 'prod', '--port', 'auto', '--profile', 'alice']);
    await open.saw(/^ready /m);
    open.process.kill('SIGINT');
    const { code, stderr } = await open.ended;
    assert.equal(code, 130, stderr);
    assert.doesNotMatch(stderr, /not sent/);
    const [stream] = [...(cli.lab.logs.streams('/cloudtun/audit') ?? [])];
    const events = (stream?.[1] ?? []).map(({ message }) => JSON.parse(message) as { id: string; event: string });
    const names = events.map(({ event }) => event);
    for (const name of ['open', 'session', 'end']) assert.ok(names.includes(name), names.join());
    const written = cli.lab.gcp.written.of('projects/acme-practice/logs/cloudtun-audit');
    assert.deepEqual(
      written.map(({ insertId }) => insertId),
      events.map(({ id }) => id),
    );
    assert.equal(cli.lab.gcp.written.arrivals, written.length, 'nothing came twice');
    const { stdout } = await cli.run(['audit', 'sinks', '--json']);
    for (const { waiting, failingSince } of JSON.parse(stdout) as { waiting: number; failingSince?: string }[])
      assert.deepEqual([waiting, failingSince], [0, undefined]);
  });

  test('that refuse hold nothing up, are told once, and get it later', async (t) => {
    const cli = await cliLab(t);
    writeFileSync(join(cli.home, 'cloudtun.yaml'), CATALOGUE.replace('/cloudtun/audit', '/not/there'));
    const run = async () => {
      const open = cli.start(['rds', 'prod', '--port', 'auto', '--profile', 'alice']);
      await open.saw(/^ready /m);
      open.process.kill('SIGINT');
      return open.ended;
    };
    const first = await run();
    assert.equal(first.code, 130);
    assert.match(
      first.stderr,
      /warning: the journal is not sent to cloudwatch:\/not\/there: there is no log group \/not\/there in .* \(CT_TARGET_NOT_FOUND\); it waits here: cloudtun audit sinks/,
    );
    assert.doesNotMatch((await run()).stderr, /not sent/, 'once');
    const told = await cli.run(['audit', 'sinks']);
    assert.match(told.stdout, /^FAIL {2}cloudwatch:\/not\/there: 0 sent, \d+ lines wait/m);
    assert.match(told.stdout, /^ok {4}cloudLogging:acme-practice:cloudtun-audit: \d+ sent, nothing waits$/m);
    const failed = await cli.run(['audit', 'sinks', '--deliver']);
    assert.equal(failed.code, 5, failed.stderr);
    cli.lab.logs.makeGroup('/not/there');
    const sent = await cli.run(['audit', 'sinks', '--deliver']);
    assert.equal(sent.code, 0, sent.stderr);
    assert.match(sent.stdout, /^ok {4}cloudwatch:\/not\/there: \d+ sent, nothing waits$/m);
  });
});

test('a process that lives on sends every minute, and once more at its end', async () => {
  const { ManualClock, settle } = await import('../../support/manual-world.ts');
  const { deliverNowAndThen } = await import('../../../src/audit/deliver-sinks.ts');
  const clock = new ManualClock();
  let count = 0;
  const sending = deliverNowAndThen({ clock }, async () => {
    count += 1;
  });
  for (let minute = 1; minute <= 3; minute += 1) {
    await clock.advance(60_000);
    await settle();
    assert.equal(count, minute);
  }
  await sending[Symbol.asyncDispose]();
  await clock.advance(600_000);
  await settle();
  assert.equal(count, 3);
});

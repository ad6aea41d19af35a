import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { journalUses } from '../../../src/audit/core/journal-uses.ts';
import { type Reconciliation, reconcile } from '../../../src/audit/core/reconcile.ts';
import type { CloudRecord, CloudUse } from '../../../src/domain/audit-feed.ts';
import { cloudTrailReader } from '../../../src/providers/aws/audit-reader.ts';
import { cloudAuditReader } from '../../../src/providers/gcp/audit-reader.ts';

const NOW = Date.UTC(2026, 10, 22, 12);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const ALICE = 'arn:aws:iam::111122223333:user/alice';
const SCOPE = '111122223333 eu-west-1';

interface Line {
  readonly file: string;
  readonly line: number;
  readonly time: number;
  readonly event: Record<string, unknown>;
}

/** The lines of one AWS tunnel with one session. @param at of the session, by the journal's clock */
function awsTunnel(session: string, at: number, say: Record<string, unknown> = {}): Line[] {
  const tunnel = `tunnel-${session}`;
  const open = {
    person: ALICE,
    account: '111122223333',
    place: 'aws prod/eu-west-1',
    node: 'i-1',
    to: 'db:3306',
    ...say,
  };
  return [
    { file: 'a.jsonl', line: 1, time: at - 300, event: { event: 'open', tunnel, ...open } },
    { file: 'a.jsonl', line: 2, time: at, event: { event: 'session', change: 'started', tunnel, session } },
  ];
}

function awsRecord(session: string, at: number, say: Partial<CloudUse> = {}, id = `event-${session}`): CloudRecord {
  const use = {
    person: ALICE,
    session,
    node: 'i-1',
    isGranted: true,
    isAt: (node: string) => node === (say.node ?? 'i-1'),
  };
  return { id, at: Math.floor(at / 1_000) * 1_000, scope: SCOPE, use: { ...use, ...say } };
}

function onAws(lines: readonly Line[], records: readonly CloudRecord[], more: object = {}): Reconciliation {
  const question = {
    reader: cloudTrailReader,
    records,
    uses: journalUses([...lines].sort((one, two) => one.time - two.time)),
    scopes: new Set([SCOPE]),
    from: NOW - 7 * 24 * HOUR,
    to: undefined,
    now: NOW,
    isWanted: (person: string) => person === ALICE,
    ...more,
  };
  return reconcile(question);
}

/** `not-in-cloud s1` */
const told = ({ differences }: Reconciliation) =>
  differences.map((each) => {
    if (each.kind === 'clock') return `clock ${each.shift.ahead}`;
    if (each.kind === 'not-in-cloud') return `not-in-cloud ${each.use.session ?? each.use.tunnel}`;
    const name = each.record.use.session ?? each.record.id;
    return each.kind === 'differs'
      ? `differs ${name} ${each.what}`
      : `not-in-journal ${name} ${each.tunnel ?? ''}`.trim();
  });

suite('sessions that the cloud names', () => {
  test('both have them: they agree, in whatever order the records come', () => {
    const lines = [...awsTunnel('s1', NOW - 5 * HOUR), ...awsTunnel('s2', NOW - 4 * HOUR)];
    const found = onAws(lines, [awsRecord('s2', NOW - 4 * HOUR), awsRecord('s1', NOW - 5 * HOUR)]);
    assert.deepEqual([told(found), found.agreed, found.clock?.pairs], [[], 2, 2]);
    assert.ok(Math.abs(found.clock?.ahead ?? 9e9) <= 500);
  });

  test('what one of them lacks is a difference, in order of time', () => {
    const lines = [...awsTunnel('s1', NOW - 5 * HOUR), ...awsTunnel('s3', NOW - 2 * HOUR)];
    const found = onAws(lines, [awsRecord('s2', NOW - 3 * HOUR), awsRecord('s3', NOW - 2 * HOUR)]);
    assert.deepEqual(told(found), ['not-in-cloud s1', 'not-in-journal s2']);
    assert.equal(found.agreed, 1);
  });

  test('a record may come late: within a quarter of an hour its absence means nothing, and after it, it does', () => {
    for (const [age, differences, early] of [
      [14 * MINUTE, [], 1],
      [16 * MINUTE, ['not-in-cloud s1'], 0],
    ] as const) {
      const found = onAws(awsTunnel('s1', NOW - age), []);
      assert.deepEqual([told(found), found.early.length], [differences, early]);
    }
  });

  test('a session that just begins is not in the journal yet', () => {
    const found = onAws([], [awsRecord('s1', NOW - 5_000), awsRecord('s2', NOW - MINUTE)]);
    assert.deepEqual([told(found), found.beginning], [['not-in-journal s2'], 1]);
  });

  test('a record that comes twice counts once', () => {
    const record = awsRecord('s1', NOW - HOUR);
    const found = onAws(awsTunnel('s1', NOW - HOUR), [
      record,
      { ...record },
      awsRecord('s9', NOW - HOUR),
      awsRecord('s9', NOW - HOUR),
    ]);
    assert.deepEqual([told(found), found.agreed, found.duplicates], [['not-in-journal s9'], 1, 2]);
  });

  test('other people, refused requests and other places are no differences', () => {
    const lines = [
      ...awsTunnel('s1', NOW - HOUR, { place: 'aws us-east-1' }),
      ...awsTunnel('s2', NOW - HOUR, { account: '999999999999' }),
      ...awsTunnel('s3', NOW - HOUR, { place: 'gcp shop' }),
      ...awsTunnel('s4', NOW - HOUR, { person: 'arn:aws:iam::111122223333:user/bob' }),
    ];
    const found = onAws(lines, [
      awsRecord('s5', NOW - HOUR, { person: 'arn:aws:iam::111122223333:user/carol' }),
      { ...awsRecord('', NOW - HOUR, { isGranted: false }), id: 'denied' },
    ]);
    assert.deepEqual([told(found), found.ofOthers, found.refused, found.agreed], [[], 1, 1, 0]);
  });

  test('the same session told differently: another machine, another document, another person', () => {
    const bob = 'arn:aws:iam::111122223333:user/bob';
    const lines = [
      ...awsTunnel('s1', NOW - 3 * HOUR),
      ...awsTunnel('s2', NOW - 2 * HOUR, { document: 'cloudtun-prod' }),
      ...awsTunnel('s3', NOW - HOUR, { person: bob }),
    ];
    const found = onAws(lines, [
      awsRecord('s1', NOW - 3 * HOUR, { node: 'i-2' }),
      awsRecord('s2', NOW - 2 * HOUR, { document: 'SSM-SessionManagerRunShell' }),
      awsRecord('s3', NOW - HOUR),
    ]);
    assert.deepEqual(told(found), ['differs s1 node', 'differs s2 document', 'differs s3 person']);
    assert.equal(found.agreed, 0);
  });

  test('a process that was killed before it could record its session is told as what it is', () => {
    const [open] = awsTunnel('s1', NOW - HOUR);
    assert.deepEqual(told(onAws([open!], [awsRecord('s1', NOW - HOUR)])), ['not-in-journal s1 tunnel-s1']);
    assert.deepEqual(told(onAws([open!], [awsRecord('s1', NOW - 2 * HOUR)])), ['not-in-journal s1'], 'another time');
  });

  test('who it is may be said after the session began', () => {
    const [open, session] = awsTunnel('s1', NOW - HOUR);
    const { person, account, ...rest } = open!.event;
    const identity = {
      ...session!,
      line: 3,
      time: session!.time + 50,
      event: { event: 'identity', tunnel: open!.event.tunnel, person, account },
    };
    const found = onAws([{ ...open!, event: rest }, session!, identity], []);
    assert.deepEqual(told(found), ['not-in-cloud s1']);
  });

  test('clocks that differ by a minute or more are a difference, and times are held against each other with that', () => {
    for (const [ahead, differences] of [
      [59_000, []],
      [3 * MINUTE, ['clock']],
      [-2 * HOUR, ['clock']],
    ] as const) {
      const sessions = [1, 2, 3].map((hours) => ({ name: `s${hours}`, at: NOW - ahead - hours * HOUR }));
      const lines = sessions.flatMap(({ name, at }) => awsTunnel(name, at + ahead + 400));
      const found = onAws(
        lines,
        sessions.map(({ name, at }) => awsRecord(name, at)),
      );
      assert.deepEqual(
        told(found).map((each) => each.split(' ')[0]),
        differences,
      );
      assert.ok(Math.abs((found.clock?.ahead ?? 0) - ahead) <= 1_000, `${found.clock?.ahead}`);
    }
    // Fourteen minutes old by its own clock, which is two minutes slow: it is old enough.
    const slow = -2 * MINUTE;
    const known = awsTunnel('s1', NOW - HOUR + slow);
    const found = onAws([...known, ...awsTunnel('s2', NOW - 14 * MINUTE + slow)], [awsRecord('s1', NOW - HOUR)], {
      now: NOW + slow,
    });
    assert.equal(found.early.length, 1, 'both times are of the same clock');
  });

  test('a border in time: earlier things are compared, and no difference', () => {
    const from = NOW - HOUR;
    const lines = [...awsTunnel('s1', from - 100), ...awsTunnel('s2', from + 400)];
    const records = [awsRecord('s2', from - 900), awsRecord('s3', from - 5_000)];
    const found = onAws(lines, records, { from });
    assert.deepEqual([told(found), found.agreed], [[], 1]);
  });

  test('files have what they have: the journal before and after is not missed', () => {
    const lines = [1, 2, 3, 4].flatMap((hours) => awsTunnel(`s${hours}`, NOW - hours * HOUR));
    const to = NOW - 2 * HOUR;
    const found = onAws(lines, [awsRecord('s2', to)], { from: NOW - 3.5 * HOUR, to });
    assert.deepEqual([told(found), found.agreed, found.outside], [['not-in-cloud s3'], 1, 2]);
  });
});

const CAROL = 'carol@example.com';

/** The lines of one tunnel on Google Cloud. @param clients when clients connected */
function way(name: string, at: number, clients: readonly number[], say: Record<string, unknown> = {}): Line[] {
  const file = 'g.jsonl';
  const open = {
    person: CAROL,
    account: 'shop',
    place: 'gcp shop',
    node: 'shop/z-a/web-1',
    to: 'localhost:22',
    ...say,
  };
  return [
    { file, line: 1, time: at, event: { event: 'open', tunnel: name, ...open } },
    ...clients.map((time) => ({
      file,
      line: 2,
      time,
      event: { event: 'client', change: 'connected', tunnel: name, to: open.to },
    })),
    { file, line: 3, time: Math.max(at, ...clients) + 1_000, event: { event: 'end', tunnel: name } },
  ];
}

let entries = 0;
function entry(at: number, say: Partial<CloudUse> = {}): CloudRecord {
  entries += 1;
  const node = say.node ?? 'shop/z-a/web-1';
  const use: CloudUse = { person: CAROL, node, port: 22, isGranted: true, isAt: (each) => each === node, ...say };
  return { id: `entry-${entries}`, at, scope: 'shop', use };
}

function onGcp(lines: readonly Line[], records: readonly CloudRecord[], more: object = {}): Reconciliation {
  return onAws(lines, records, {
    reader: cloudAuditReader,
    scopes: new Set(['shop']),
    isWanted: (person: string) => person === CAROL,
    ...more,
  });
}

suite('connections that have no name', () => {
  const at = NOW - 3 * HOUR;

  test('each record falls into the time of a way; reconnections and tries that led nowhere are its own', () => {
    const lines = way('t1', at, [at + MINUTE, at + HOUR]);
    const records = [entry(at + 200), entry(at + MINUTE), entry(at + 20 * MINUTE), entry(at + HOUR)];
    const found = onGcp(lines, records);
    assert.deepEqual([told(found), found.agreed], [[], 1]);
  });

  test('another port, machine, person, or time is another connection', () => {
    const lines = way('t1', at, [at + MINUTE]);
    const others = [
      entry(at + 200, { port: 5_432 }),
      entry(at + 200, { node: 'shop/z-a/web-2' }),
      entry(at + 5 * MINUTE),
      entry(at - 5 * MINUTE),
    ];
    const found = onGcp(lines, [entry(at + 100), ...others]);
    assert.deepEqual([told(found).length, found.agreed], [4, 1]);
    const stranger = onGcp(lines, [entry(at + 100), entry(at + 100, { person: 'dan@example.com' })]);
    assert.deepEqual([told(stranger), stranger.ofOthers], [[], 1]);
  });

  test('a way that a client used must have a record; one that nobody used need not', () => {
    const found = onGcp([...way('t1', at, [at + 100]), ...way('t2', at + HOUR, [])], []);
    assert.deepEqual(told(found), ['not-in-cloud t1']);
    const fresh = onGcp(way('t3', NOW - 2 * MINUTE, [NOW - MINUTE]), []);
    assert.deepEqual([told(fresh), fresh.early.length], [[], 1]);
  });

  test('a clock that is wrong by forty minutes, or by a time zone, is found from the times alone', () => {
    for (const ahead of [40 * MINUTE, -9 * HOUR]) {
      const times = [0, 7, 19, 44, 61].map((minutes) => at + minutes * MINUTE + minutes * 777);
      const lines = times.flatMap((time, index) => way(`t${index}`, time + ahead, [time + ahead + 200]));
      const found = onGcp(
        lines,
        times.map((time) => entry(time + 150)),
        { now: NOW + 12 * HOUR },
      );
      assert.deepEqual([told(found).length, found.agreed], [1, 5]);
      assert.ok(Math.abs((found.clock?.ahead ?? 0) - ahead) < 1_000);
    }
  });

  test('what happens every five minutes is no reason to move a clock', () => {
    const times = Array.from({ length: 12 }, (_, index) => at + index * 5 * MINUTE);
    const lines = times.slice(0, 6).flatMap((time, index) => way(`t${index}`, time, [time + 100]));
    const found = onGcp(
      lines,
      times.map((time) => entry(time + 50)),
    );
    assert.deepEqual([told(found).length, found.agreed], [6, 6]);
  });
});

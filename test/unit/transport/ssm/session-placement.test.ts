import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sessionHealth } from '../../../../src/transport/ssm/core/session-health.ts';
import {
  AGENT_MESSAGE_RATE,
  type PlaceableSession,
  SessionPlacement,
} from '../../../../src/transport/ssm/core/session-placement.ts';

const NONE_UNDER_WAY = { starting: 0, waiting: 0 };

/** A healthy session. @param load share of the agent's pace */
const session = (openStreams: number, load = 0, more: Partial<PlaceableSession> = {}): PlaceableSession => ({
  canOpen: true,
  health: 'healthy',
  openStreams,
  messageRate: load * AGENT_MESSAGE_RATE,
  ...more,
});

test('one session takes every stream, however full it is', () => {
  const placement = new SessionPlacement(1);
  for (const load of [0, 0.5, 1]) {
    assert.deepEqual(placement.place([session(40, load)], NONE_UNDER_WAY, 0), { do: 'use', index: 0 });
  }
});

test('a fixed number is filled as connections come: nothing for the first, then one for each', () => {
  const placement = new SessionPlacement(3);
  assert.deepEqual(placement.place([session(0)], NONE_UNDER_WAY, 0), { do: 'use', index: 0 });
  const first = [session(1)];
  const another = { do: 'start', because: 'asked', orUse: 0 } as const;
  assert.deepEqual(placement.place(first, NONE_UNDER_WAY, 0), another);
  assert.deepEqual(placement.place(first, { starting: 1, waiting: 1 }, 0), another, 'two come at once');
  assert.deepEqual(placement.place(first, { starting: 2, waiting: 2 }, 0), { do: 'use', index: 0 }, 'three are there');
  const fuller = [session(2)];
  assert.deepEqual(placement.place(fuller, { starting: 2, waiting: 3 }, 0), { do: 'join', orUse: 0 });
  assert.deepEqual(placement.place(fuller, { starting: 2, waiting: 4 }, 0), { do: 'use', index: 0 });
  // Whoever was waited for gave up: its session is for the next one.
  assert.deepEqual(placement.place(first, { starting: 1, waiting: 0 }, 0), { do: 'join', orUse: 0 });
});

test('among many the least loaded: by what is measured, and by the streams that may become loud', () => {
  const placement = new SessionPlacement(3);
  const placed = (...sessions: PlaceableSession[]) => {
    const step = placement.place(sessions, NONE_UNDER_WAY, 0);
    return step.do === 'use' ? step.index : step;
  };
  assert.equal(placed(session(2), session(1), session(2)), 1);
  assert.equal(placed(session(1, 1), session(3, 0), session(1, 0.9)), 1, 'three that sleep before one that is loud');
  assert.equal(placed(session(1, 1), session(9, 0.1), session(3, 0.6)), 2);
  assert.equal(
    placed(session(1, 0.7), session(20, 0.6), session(20, 0.6)),
    1,
    'never a full one while another has room',
  );
  assert.equal(placed(session(2), session(1, 0, { health: 'slow' }), session(3)), 0, 'healthy before ill');
  assert.equal(placed(session(2), session(0, 0, { health: 'reconnecting' }), session(3)), 0);
  assert.equal(
    placed(
      session(5, 0, { health: 'reconnecting' }),
      session(9, 0, { health: 'slow' }),
      session(1, 0, { canOpen: false }),
    ),
    1,
    'where none is healthy, nothing is started for it: the network is ill, not the session',
  );
});

test('auto: one session until it is full, and a step of growth at a time', () => {
  const placement = new SessionPlacement('auto');
  assert.deepEqual(placement.place([session(30, 0.5)], NONE_UNDER_WAY, 0), { do: 'use', index: 0 });
  const load = { do: 'start', because: 'load', orUse: 0 } as const;
  assert.deepEqual(placement.place([session(2, 0.9)], NONE_UNDER_WAY, 0), load);
  assert.deepEqual(placement.place([session(2, 0.9)], { starting: 1, waiting: 1 }, 5), { do: 'join', orUse: 0 });
  placement.started(100);
  const two = [session(2, 0.9), session(1, 0.9)];
  assert.deepEqual(placement.place(two, NONE_UNDER_WAY, 600), { do: 'use', index: 1 }, 'too early to tell');
  assert.deepEqual(placement.place(two, NONE_UNDER_WAY, 1_200), { ...load, orUse: 1 });
  assert.deepEqual(placement.place(two, { starting: 1, waiting: 1 }, 1_201), { ...load, orUse: 1 }, 'twice as many');
  assert.deepEqual(placement.place(two, { starting: 2, waiting: 2 }, 1_202), { do: 'join', orUse: 1 });
});

test('auto: no more than eight, and none for an agent that keeps no pace', () => {
  const full = Array.from({ length: 8 }, () => session(1, 1));
  assert.equal(new SessionPlacement('auto').place(full, NONE_UNDER_WAY, 0).do, 'use');
  assert.equal(new SessionPlacement('auto').place(full.slice(1), NONE_UNDER_WAY, 0).do, 'start');
  assert.equal(new SessionPlacement('auto').place([session(4, 40)], NONE_UNDER_WAY, 0).do, 'use');
});

test('a refusal of a further session is told once, and asked again later, rarer each time', () => {
  const placement = new SessionPlacement(4);
  const next = (now: number) => placement.place([session(3)], NONE_UNDER_WAY, now).do;
  assert.equal(next(0), 'start');
  assert.equal(placement.startFailed(0, 0.5), true);
  assert.deepEqual([next(1), next(4_999), next(5_000)], ['use', 'use', 'start']);
  assert.equal(placement.startFailed(5_000, 0.5), false, 'nothing new');
  assert.deepEqual([next(14_999), next(15_000)], ['use', 'start']);
  for (let count = 0; count < 60; count += 1) placement.startFailed(15_000, 1);
  assert.deepEqual([next(15_000 + 300_000), next(15_000 + 300_000 * 1.25)], ['use', 'start'], 'at least so often');
  placement.started(500_000);
  assert.equal(next(500_000), 'start');
  assert.equal(placement.startFailed(500_000, 0.5), true, 'after a success it is news again');
});

test('behind a slow reader: another session, shared by all who come; the stalled one where there is none to be had', () => {
  const placement = new SessionPlacement(1);
  const stalled = [session(1, 0, { health: 'stalled' })];
  assert.deepEqual(placement.place(stalled, NONE_UNDER_WAY, 0), { do: 'start', because: 'stalled', orUse: 0 });
  assert.deepEqual(placement.place(stalled, { starting: 1, waiting: 1 }, 0), { do: 'join', orUse: 0 });
  assert.deepEqual(placement.place([...stalled, session(7)], NONE_UNDER_WAY, 0), { do: 'use', index: 1 });
  placement.startFailed(0, 0);
  assert.deepEqual(placement.place(stalled, NONE_UNDER_WAY, 1), { do: 'use', index: 0 });
  const eight = Array.from({ length: 8 }, (_, index) => session(9 - index, 0, { health: 'stalled' }));
  assert.deepEqual(new SessionPlacement(1).place(eight, NONE_UNDER_WAY, 0), { do: 'use', index: 7 });
});

test('where a session carries one connection, each gets its own, and the ninth waits', () => {
  const placement = new SessionPlacement(1);
  const taken = (count: number) => Array.from({ length: count }, () => session(1, 0, { canOpen: false }));
  const own = { do: 'start', because: 'connection', orUse: undefined } as const;
  assert.deepEqual(placement.place(taken(1), NONE_UNDER_WAY, 0), own);
  assert.deepEqual(placement.place(taken(1), { starting: 1, waiting: 1 }, 0), own);
  assert.deepEqual(placement.place(taken(8), NONE_UNDER_WAY, 0), { do: 'wait' });
  assert.deepEqual(placement.place([], NONE_UNDER_WAY, 0), own, 'after all were lost');
  assert.deepEqual(placement.place([], { starting: 1, waiting: 1 }, 0), { do: 'join', orUse: undefined });
});

test('a person is told of the pace once: after ten full seconds, and not where several sessions were asked for', () => {
  const placement = new SessionPlacement(1);
  const full = [session(1, 1)];
  assert.equal(placement.observe(full, 0), undefined);
  assert.equal(placement.observe([session(1, 0.2)], 8_000), undefined, 'not all the time');
  assert.equal(placement.observe(full, 9_000), undefined);
  assert.equal(placement.observe(full, 18_999), undefined);
  assert.equal(placement.observe([session(3, 1)], 19_000), 3);
  assert.equal(placement.observe(full, 40_000), undefined);
  for (const wish of [4, 'auto'] as const) {
    const other = new SessionPlacement(wish);
    for (let now = 0; now < 60_000; now += 1_000) assert.equal(other.observe(full, now), undefined);
  }
});

test('health: a lost websocket, a slow reader, silence, and a round trip that has grown', () => {
  const signs = {
    isConnected: true,
    isStalled: false,
    timeouts: 0,
    roundTrip: 40,
    shortestRoundTrip: 30,
    quietFor: 0,
  };
  assert.equal(sessionHealth(signs), 'healthy');
  assert.equal(sessionHealth({ ...signs, isConnected: false }), 'reconnecting');
  assert.equal(sessionHealth({ ...signs, isStalled: true, isConnected: false }), 'stalled');
  assert.equal(sessionHealth({ ...signs, timeouts: 1 }), 'healthy', 'a lost message is repaired');
  assert.equal(sessionHealth({ ...signs, timeouts: 2 }), 'slow');
  assert.equal(sessionHealth({ ...signs, roundTrip: 431 }), 'slow');
  assert.equal(sessionHealth({ ...signs, roundTrip: 431, quietFor: 10_001 }), 'healthy', 'an old verdict lapses');
  assert.equal(sessionHealth({ ...signs, roundTrip: 900, shortestRoundTrip: 450 }), 'healthy', 'far, and not slower');
  assert.equal(
    sessionHealth({ ...signs, roundTrip: undefined, shortestRoundTrip: Number.POSITIVE_INFINITY }),
    'healthy',
  );
});

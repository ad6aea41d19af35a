/**
 * A tunnel's choice of sessions as a model: connections come and go, sessions start, fail, end, stall, lose their websocket and fill
 * up in any order. What is chosen can always be used, nothing healthy is passed over for something ill, and the bounds hold.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MAX_SESSIONS, type SessionCount } from '../../src/domain/session-count.ts';
import type { SessionHealth } from '../../src/domain/session-figures.ts';
import { type PlaceableSession, SessionPlacement } from '../../src/transport/ssm/core/session-placement.ts';

type Step =
  | { readonly do: 'connect' }
  | { readonly do: 'leave' | 'end'; readonly which: number }
  | { readonly do: 'health'; readonly which: number; readonly health: SessionHealth }
  | { readonly do: 'load'; readonly which: number; readonly messageRate: number }
  | { readonly do: 'started' | 'failed' | 'gaveUp' }
  | { readonly do: 'pass'; readonly time: number };

const which = fc.nat(MAX_SESSIONS);
const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.constant({ do: 'connect' } as const) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('leave', 'end'), which }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('health' as const),
      which,
      health: fc.constantFrom<SessionHealth>('healthy', 'slow', 'stalled', 'reconnecting'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('load' as const),
      which,
      messageRate: fc.constantFrom(0, 300, 600, 700, 9_000),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom('started', 'failed', 'gaveUp') }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pass' as const), time: fc.nat(20_000) }) },
);

type Mutable = { -readonly [Key in keyof PlaceableSession]: PlaceableSession[Key] };

class Model {
  readonly sessions: Mutable[] = [session()];
  readonly #placement: SessionPlacement;
  readonly #wish: SessionCount;
  readonly #isExclusive: boolean;
  #starting = 0;
  #waiting = 0;
  #now = 0;

  constructor(wish: SessionCount, isExclusive: boolean) {
    this.#wish = wish;
    this.#isExclusive = isExclusive;
    this.#placement = new SessionPlacement(wish);
  }

  run(step: Step): void {
    const chosen = 'which' in step ? this.sessions[step.which % Math.max(1, this.sessions.length)] : undefined;
    switch (step.do) {
      case 'connect':
        return this.#connect();
      case 'leave':
        if (chosen && chosen.openStreams > 0) chosen.openStreams -= 1;
        return;
      case 'end':
        if (chosen) this.sessions.splice(this.sessions.indexOf(chosen), 1);
        return;
      case 'health':
        if (chosen) chosen.health = step.health;
        return;
      case 'load':
        if (chosen && chosen.openStreams > 0) chosen.messageRate = step.messageRate;
        return;
      case 'started':
        if (this.#starting === 0) return;
        this.#starting -= 1;
        this.sessions.push(session());
        this.#placement.started(this.#now);
        if (this.#waiting === 0) return;
        this.#waiting -= 1;
        return this.#connect();
      case 'failed':
        if (this.#starting === 0) return;
        this.#starting -= 1;
        this.#waiting = Math.max(0, this.#waiting - 1);
        this.#placement.startFailed(this.#now, 0.5);
        return;
      case 'gaveUp':
        this.#waiting = Math.max(0, this.#waiting - 1);
        return;
      case 'pass':
        this.#now += step.time;
    }
  }

  #connect(): void {
    const { sessions } = this;
    const before = { starting: this.#starting, waiting: this.#waiting };
    const step = this.#placement.place(sessions, before, this.#now);
    const usable = sessions.filter(({ canOpen }) => canOpen);
    const healthy = usable.filter(({ health }) => health === 'healthy');
    if (step.do === 'use') {
      const used = sessions[step.index]!;
      assert.ok(used.canOpen, 'what is chosen can be used');
      if (healthy.length > 0) assert.equal(used.health, 'healthy');
      if (used.health === 'stalled') assert.ok(usable.every(({ health }) => health === 'stalled'));
      used.openStreams += 1;
      if (this.#isExclusive) used.canOpen = false;
      return;
    }
    if (step.do === 'wait') {
      assert.equal(usable.length, 0, 'nobody waits beside a session that could be used');
      assert.ok(sessions.length + this.#starting >= MAX_SESSIONS);
      return;
    }
    if (step.do === 'start') {
      this.#starting += 1;
      const most = step.because !== 'asked' || this.#wish === 'auto' ? MAX_SESSIONS : this.#wish;
      assert.ok(sessions.length + this.#starting <= most, `${sessions.length} and ${this.#starting} of ${most}`);
      if (step.because === 'load') assert.equal(this.#wish, 'auto');
      if (step.because === 'asked') assert.notEqual(this.#wish, 'auto');
      assert.ok(!healthy.some(({ openStreams }) => openStreams === 0), 'none is started beside one that nobody uses');
    } else {
      assert.ok(this.#starting > 0, 'what is joined exists');
    }
    if (step.orUse === undefined) assert.equal(usable.length, 0);
    else assert.ok(sessions[step.orUse]!.canOpen);
    this.#waiting += 1;
  }
}

function session(): Mutable {
  return { canOpen: true, health: 'healthy', openStreams: 0, messageRate: 0 };
}

test('whatever happens, a connection is placed where it can be, and the bounds hold', () => {
  const wishes = fc.oneof(fc.integer({ min: 1, max: MAX_SESSIONS }), fc.constant('auto' as const));
  fc.assert(
    fc.property(wishes, fc.boolean(), fc.array(steps, { maxLength: 120 }), (wish, isExclusive, happens) => {
      const model = new Model(wish, isExclusive);
      for (const step of happens) model.run(step);
    }),
    {
      numRuns: 2_000,
      // A session whose streams had just gone looked loaded, and another one was started beside it.
      examples: [
        [
          3,
          false,
          [
            { do: 'connect' },
            { do: 'load', which: 0, messageRate: 9_000 },
            { do: 'connect' },
            { do: 'leave', which: 0 },
            { do: 'started' },
            { do: 'connect' },
          ],
        ],
      ],
    },
  );
});

test('while all are well and alike, a fixed number of sessions is shared evenly', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: MAX_SESSIONS }), fc.integer({ min: 1, max: 60 }), (wish, connections) => {
      const model = new Model(wish, false);
      for (let count = 0; count < connections; count += 1) {
        model.run({ do: 'connect' });
        model.run({ do: 'started' });
      }
      const streams = model.sessions.map(({ openStreams }) => openStreams);
      assert.equal(streams.length, Math.min(wish, connections));
      assert.ok(Math.max(...streams) - Math.min(...streams) <= 1, streams.join());
      assert.equal(
        streams.reduce((sum, each) => sum + each),
        connections,
      );
    }),
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Destination } from '../../src/broker/destination.ts';
import type { ErrorCode } from '../../src/domain/error-catalogue.ts';
import { CloudtunError } from '../../src/domain/errors.ts';
import type { TunnelEvent } from '../../src/domain/tunnel-event.ts';
import type { Tunnel, TunnelEnd } from '../../src/transport/tunnel.ts';
import { FakeStream } from '../support/fake-stream.ts';
import { manualWorld, settle } from '../support/manual-world.ts';

/*
 * Twelve virtual hours of one destination with whatever may happen: attempts stay bounded, it recovers after the last fault, a stream is
 * given on a session that stands and on no other, and nothing is left open.
 */

const HOUR = 3_600_000;
const PASSING: readonly ErrorCode[] = [
  'CT_NETWORK',
  'CT_THROTTLED',
  'CT_SERVICE',
  'CT_TIMEOUT',
  'CT_CREDENTIALS_EXPIRED',
  'CT_NO_CREDENTIALS',
  'CT_TARGET_OFFLINE',
  'CT_NO_BASTION',
];

const NO_STATS = { sessions: 1, bytesUp: 0, bytesDown: 0, rateUp: 0, rateDown: 0, roundTripMs: undefined, each: [] };

class Session implements Tunnel {
  readonly #closed = Promise.withResolvers<TunnelEnd>();
  readonly closed = this.#closed.promise;
  readonly streams = new Set<FakeStream>();
  isOver = false;

  async open() {
    if (this.isOver) throw new CloudtunError('CT_TUNNEL_LOST', 'the session is over');
    const stream = new FakeStream('connected');
    stream.on('error', () => {});
    stream.once('close', () => this.streams.delete(stream));
    this.streams.add(stream);
    return stream;
  }

  lose(): void {
    if (this.isOver) return;
    this.isOver = true;
    const error = new CloudtunError('CT_SESSION_ENDED', 'the cloud ended the session');
    for (const stream of this.streams) stream.destroy(error);
    this.#closed.resolve({ reason: 'ended-by-service', error });
  }

  stats() {
    return { ...NO_STATS, openStreams: this.streams.size };
  }

  async [Symbol.asyncDispose]() {
    this.isOver = true;
    for (const stream of this.streams) stream.destroy();
    this.#closed.resolve({ reason: 'closed-by-us' });
  }
}

type Happening =
  | { readonly what: 'ended' | 'moved' | 'asked' }
  | { readonly what: 'outage'; readonly code: ErrorCode; readonly lasts: number };

const happening: fc.Arbitrary<Happening> = fc.oneof(
  fc.constantFrom<Happening>({ what: 'ended' }, { what: 'moved' }, { what: 'asked' }),
  fc.record({
    what: fc.constant('outage' as const),
    code: fc.constantFrom(...PASSING),
    // Shorter than what makes a target gone for good.
    lasts: fc.integer({ min: 1_000, max: 9 * 60_000 }),
  }),
);

const night = fc.array(fc.record({ after: fc.integer({ min: 0, max: HOUR / 2 }), happens: happening }), {
  minLength: 1,
  maxLength: 30,
});

test('twelve hours of whatever happens: bounded attempts, always back, no stream on a session that is over', async () => {
  await fc.assert(
    fc.asyncProperty(night, fc.integer({ min: 1, max: 1_000 }), async (events, seed) => {
      const { world, clock } = manualWorld({ seed });
      const sessions: Session[] = [];
      const attempts: number[] = [];
      const told: TunnelEvent[] = [];
      let outage: { readonly code: ErrorCode; readonly until: number } | undefined;
      let isLost = false;
      const destination = new Destination(
        world,
        { host: 'db.internal', port: 5432 },
        {
          open: async (_to, _isFresh, onEvent) => {
            attempts.push(clock.now());
            if (outage && clock.now() < outage.until) throw new CloudtunError(outage.code, 'not now');
            const session = new Session();
            sessions.push(session);
            onEvent({ type: 'session-started', sessionId: `s-${sessions.length}` });
            return session;
          },
          onEvent: (event) => void told.push(event),
          onRefused: () => {},
          onLost: () => {
            isLost = true;
          },
        },
      );
      const never = new AbortController().signal;
      const dial = async () => {
        const stream = await destination.dial(never).catch((error: CloudtunError) => error);
        if (stream instanceof CloudtunError) return stream;
        const holder = sessions.find(({ streams }) => streams.has(stream as FakeStream));
        assert.ok(stream.destroyed || (holder && !holder.isOver), 'a stream on a session that is over');
        return undefined;
      };
      assert.equal(await dial(), undefined);

      const began = clock.now();
      for (const { after, happens } of events) {
        if (clock.now() + after - began > 12 * HOUR) break;
        await clock.advance(after);
        if (happens.what === 'ended') sessions.at(-1)?.lose();
        else if (happens.what === 'moved') destination.moved('it moved');
        else if (happens.what === 'outage') {
          outage = { code: happens.code, until: clock.now() + happens.lasts };
          sessions.at(-1)?.lose();
        }
        await settle();
        // A client that hammers: as soon as it is told no, it comes again.
        let isDone = false;
        const hammering = (async () => {
          const patience = clock.now() + 15 * 60_000;
          while (clock.now() < patience && (await dial())) await clock.sleep(100);
          isDone = true;
        })();
        for (let step = 0; !isDone && step < 2_000; step += 1) await clock.advance(1_000);
        await hammering;
      }

      // The last fault is over: whoever comes now is served within what a round takes.
      await clock.advance(15 * 60_000);
      const asked = clock.now();
      const answer = dial();
      for (let step = 0; step < 30; step += 1) await clock.advance(1_000);
      assert.equal(isLost, false);
      assert.equal(await answer, undefined, 'it is back');
      assert.ok(clock.now() - asked <= 31_000);

      for (let hour = began; hour < clock.now(); hour += HOUR / 4) {
        const inHour = attempts.filter((at) => at >= hour && at < hour + HOUR).length;
        assert.ok(inHour <= 600, `${inHour} attempts in an hour`);
      }
      const signIns = told.filter(({ type }) => type === 'sign-in-needed').length;
      assert.ok(signIns <= events.length, 'told once each time');
      await destination[Symbol.asyncDispose]();
      await clock.advance(1_000);
      assert.ok(
        sessions.every(({ isOver }) => isOver),
        'nothing is left open',
      );
    }),
    { numRuns: 15 },
  );
});

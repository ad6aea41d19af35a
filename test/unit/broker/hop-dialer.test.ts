import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Hop } from '../../../src/broker/broker-types.ts';
import { HopDialer } from '../../../src/broker/hop-dialer.ts';
import { CloudtunError } from '../../../src/domain/errors.ts';
import type { TunnelEvent } from '../../../src/domain/tunnel-event.ts';
import { FakeStream } from '../../support/fake-stream.ts';
import { manualWorld, settle } from '../../support/manual-world.ts';

const never = new AbortController().signal;
const TO = { host: 'db.internal', port: 5432 };

class FakeHop implements Hop {
  readonly #closed = Promise.withResolvers<CloudtunError | undefined>();
  readonly closed = this.#closed.promise;
  isBroken = false;
  dials = 0;

  async dial() {
    this.dials += 1;
    if (this.isBroken) throw new CloudtunError('CT_TUNNEL_LOST', 'the connection is gone');
    return new FakeStream('connected');
  }

  /** It broke; `isNoticed`: and everybody heard of it. */
  break(isNoticed: boolean): void {
    this.isBroken = true;
    if (isNoticed) this.#closed.resolve(new CloudtunError('CT_TUNNEL_LOST', 'the connection is gone'));
  }

  async [Symbol.asyncDispose]() {
    this.#closed.resolve(undefined);
  }
}

function dialer(logIn?: (signal: AbortSignal) => Promise<Hop>) {
  const { world, clock } = manualWorld();
  const hops: FakeHop[] = [];
  const events: TunnelEvent[] = [];
  const make = async () => {
    const hop = new FakeHop();
    hops.push(hop);
    return hop;
  };
  let logins = 0;
  const hop = new HopDialer(
    world,
    (signal) => {
      logins += 1;
      return logIn ? logIn(signal) : make();
    },
    { name: 'inner', onEvent: (event) => void events.push(event) },
  );
  return { hop, hops, clock, events, logins: () => logins };
}

suite('a dialer over a login', () => {
  test('one login for all who dial at the same time, made at the first dial', async () => {
    const { hop, hops, logins } = dialer();
    assert.equal(logins(), 0);
    await Promise.all([hop.dial(TO, never), hop.dial(TO, never), hop.dial(TO, never)]);
    assert.deepEqual([logins(), hops[0]?.dials], [1, 3]);
  });

  test('after it broke the next dial logs in again, also when the break shows in that dial', async () => {
    const { hop, hops, clock } = dialer();
    await hop.dial(TO, never);
    await clock.advance(10_000);
    hops[0]?.break(true);
    await settle();
    await hop.dial(TO, never);
    assert.equal(hops.length, 2);
    await clock.advance(10_000);
    hops[1]?.break(false);
    const dialled = hop.dial(TO, never);
    hops[1]?.break(true);
    await dialled;
    assert.equal(hops.length, 3);
  });

  test('a failure is told to others for a second, then it is tried again', async () => {
    const denied = new CloudtunError('CT_DENIED', 'no key may be pushed');
    const { hop, clock, logins } = dialer(async () => {
      throw denied;
    });
    for (let count = 0; count < 5; count++) await assert.rejects(hop.dial(TO, never), denied);
    assert.equal(logins(), 1);
    await clock.advance(1_000);
    await assert.rejects(hop.dial(TO, never), denied);
    assert.equal(logins(), 2);
  });

  test('one who leaves does not call the login off for the others; disposing does, and closes what comes too late', async () => {
    const slow = Promise.withResolvers<Hop>();
    const late = new FakeHop();
    const { hop } = dialer(() => slow.promise);
    const leaving = new AbortController();
    const first = hop.dial(TO, leaving.signal);
    const second = hop.dial(TO, never);
    leaving.abort(new Error('left'));
    await assert.rejects(first, /left/);
    const disposed = hop[Symbol.asyncDispose]();
    slow.resolve(late);
    await assert.rejects(second, { code: 'CT_INTERRUPTED' });
    await disposed;
    assert.equal(await late.closed, undefined);
    await assert.rejects(hop.dial(TO, never), { code: 'CT_INTERRUPTED' });
  });
});

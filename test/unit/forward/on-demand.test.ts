import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { suite, type TestContext, test } from 'node:test';
import { CloudtunError } from '../../../src/domain/errors.ts';
import type { ForwardEvent } from '../../../src/forward/forward-types.ts';
import { openForward } from '../../../src/forward/open-forward.ts';
import { systemWorld } from '../../../src/runtime/world.ts';
import { PeerWatch } from '../../../src/transport/peer-watch.ts';
import { FakeOpenedTunnel } from '../../support/fake-opened-tunnel.ts';
import { until } from '../../support/until.ts';

const IDLE = 40;

/** Also of one that is reset, which `once` takes for a failure. */
const closeOf = (socket: Socket) => new Promise((resolve) => socket.once('close', resolve));

async function listen(t: TestContext) {
  const world = systemWorld();
  const tunnels: FakeOpenedTunnel[] = [];
  const events: ForwardEvent[] = [];
  const faults: CloudtunError[] = [];
  const forward = await openForward(
    { world, peers: new PeerWatch(world) },
    {
      listen: [{ bind: ['127.0.0.1'], port: 0 }],
      open: async () => {
        const fault = faults.shift();
        if (fault) throw fault;
        const opened = new FakeOpenedTunnel();
        tunnels.push(opened);
        return opened;
      },
      limits: { ttl: undefined, idle: undefined, grace: 100 },
      onEvent: (event) => events.push(event),
      onDemand: { idle: IDLE },
    },
  );
  t.after(() => forward[Symbol.asyncDispose]());
  await forward.ready;
  const client = async (): Promise<Socket> => {
    const socket = connect(forward.local[0]![0]!.port, '127.0.0.1');
    socket.on('error', () => {});
    await once(socket, 'connect');
    return socket;
  };
  return { forward, tunnels, events, faults, client };
}

suite('a forward on demand', () => {
  test('asks nothing before the first connection, closes when unused and opens again', async (t) => {
    const { forward, tunnels, events, client } = await listen(t);
    assert.equal(tunnels.length, 0);
    assert.equal(forward.status().state, 'waiting');
    assert.deepEqual(
      events.map(({ type }) => type),
      ['waiting'],
    );
    for (const count of [1, 2]) {
      const socket = await client();
      await until(() => tunnels.length === count && tunnels[count - 1]!.dials.length === 1);
      assert.equal(forward.status().state, 'ready');
      socket.destroy();
      await until(() => tunnels[count - 1]!.isDisposed);
      assert.equal(forward.status().state, 'waiting');
      assert.deepEqual(
        tunnels[count - 1]!.ends.map(({ reason, connections }) => [reason, connections]),
        [['idle', 1]],
      );
    }
    assert.equal(forward.status().connections, 2);
  });

  test('one that is used is not closed', async (t) => {
    const { tunnels, client } = await listen(t);
    const first = await client();
    await until(() => tunnels[0]?.dials.length === 1);
    const second = await client();
    await until(() => tunnels[0]!.dials.length === 2);
    second.destroy();
    await until(() => tunnels[0]!.clients.some(({ change }) => change === 'closed'));
    await systemWorld().clock.sleep(IDLE * 3);
    assert.equal(tunnels[0]!.isDisposed, false);
    first.destroy();
  });

  test('what cannot be opened is told to the client that came, and the next one tries again', async (t) => {
    const { forward, tunnels, faults, events } = await listen(t);
    faults.push(new CloudtunError('CT_DENIED', 'not yet'));
    const attempt = () => connect(forward.local[0]![0]!.port, '127.0.0.1').on('error', () => {});
    await closeOf(attempt());
    await until(() => events.some((event) => event.type === 'client' && event.error?.code === 'CT_DENIED'));
    assert.equal(forward.status().state, 'waiting');
    // The same answer stands for a second; whoever comes after it is served.
    while (tunnels.length === 0) {
      const socket = attempt();
      await Promise.race([closeOf(socket), until(() => tunnels.length === 1)]);
    }
  });

  test('one that is lost is opened again for the next client', async (t) => {
    const { forward, tunnels, client } = await listen(t);
    await client();
    await until(() => tunnels[0]?.dials.length === 1);
    tunnels[0]!.lose(new CloudtunError('CT_TARGET_OFFLINE', 'gone'));
    await until(() => tunnels[0]!.isDisposed);
    assert.equal(forward.status().lastTrouble?.message, 'gone');
  });
});

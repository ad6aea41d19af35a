import assert from 'node:assert/strict';
import { test } from 'node:test';
import { echo, gatewayLab, tcpTarget } from '../../support/gateway-lab.ts';
import { SsmPeer, smux } from '../../support/ssm-peer.ts';

test('a stream echoes through the mux and the session ends with the terminate flag', async (t) => {
  const lab = await gatewayLab(t, { target: await tcpTarget(t, echo) });
  const grant = lab.start();
  const peer = new SsmPeer();
  await peer.connect(grant.streamUrl, grant.tokenValue);
  await peer.handshake();
  assert.equal(lab.sessions.get(grant.sessionId)?.status, 'Connected');
  peer.openStream(3, 'hello');
  await peer.until(() => peer.streams.get(3)?.data === 'hello');
  peer.input(1, smux('fin', 3));
  await peer.until(() => peer.streams.get(3)?.isFinished === true);
  const last = peer.flag(2);
  await peer.until(() => peer.acknowledged.includes(last) && peer.channelClosed !== undefined);
  assert.equal(peer.channelClosed?.Output, '');
  assert.equal(lab.sessions.get(grant.sessionId)?.status, 'Terminated');
  assert.deepEqual(lab.gateway.violations(), []);
  assert.deepEqual(lab.gateway.openSessions(), []);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SessionChange, type SessionRequest, SessionStore } from '../../../../src/lab/aws/sessions.ts';
import { manualWorld } from '../../../support/manual-world.ts';

const REQUEST: SessionRequest = {
  targetId: 'i-1',
  owner: 'alice',
  documentName: 'AWS-StartPortForwardingSession',
  sessionType: 'Port',
  properties: { portNumber: '80' },
  agentVersion: '3.3.1142.0',
};

function store(options: Partial<ConstructorParameters<typeof SessionStore>[0]> = {}) {
  const { world, clock } = manualWorld();
  const changes: SessionChange[] = [];
  const sessions = new SessionStore({ world, streamBase: () => 'ws://127.0.0.1:1', ...options });
  sessions.onChange((change) => changes.push(change));
  return { sessions, changes, clock };
}

test('a session has an id, a stream URL and a token of the documented shapes', () => {
  const { sessions, changes } = store({ cellNumber: () => 'YQ%3D%3D' });
  const grant = sessions.start(REQUEST);
  assert.match(grant.sessionId, /^alice-[a-z0-9]{26}$/);
  assert.equal(
    grant.streamUrl,
    `ws://127.0.0.1:1/v1/data-channel/${grant.sessionId}?role=publish_subscribe&cell-number=YQ%3D%3D`,
  );
  assert.ok(grant.tokenValue.length <= 300);
  assert.equal(sessions.get(grant.sessionId)?.status, 'Connecting');
  assert.deepEqual(
    changes.map(({ type }) => type),
    ['started'],
  );
});

test('one token opens one websocket, and a resume replaces it', () => {
  const { sessions } = store();
  const { sessionId, tokenValue } = sessions.start(REQUEST);
  assert.equal(sessions.redeem(sessionId, 'other'), 'refused');
  assert.equal(sessions.redeem(sessionId, tokenValue), 'accepted');
  assert.equal(sessions.redeem(sessionId, tokenValue), 'used');
  const first = sessions.resume(sessionId);
  const second = sessions.resume(sessionId);
  assert.ok(first.outcome === 'resumed' && second.outcome === 'resumed');
  assert.equal(sessions.redeem(sessionId, first.grant.tokenValue), 'refused');
  assert.equal(sessions.redeem(sessionId, second.grant.tokenValue), 'accepted');
  assert.equal(second.grant.streamUrl.includes(sessionId), true);
});

test('a resume may be refused in both ways, and is for what has ended', () => {
  let verdict: 'expired' | 'unknown' | undefined = 'expired';
  const { sessions } = store({ resumeVerdict: () => verdict });
  const { sessionId, streamUrl } = sessions.start(REQUEST);
  assert.deepEqual(sessions.resume(sessionId), { outcome: 'expired', sessionId, streamUrl });
  verdict = 'unknown';
  assert.deepEqual(sessions.resume(sessionId), { outcome: 'unknown' });
  verdict = undefined;
  assert.equal(sessions.resume(sessionId).outcome, 'resumed');
  assert.equal(sessions.terminate(sessionId), 'terminated');
  assert.deepEqual(sessions.resume(sessionId), { outcome: 'unknown' });
  assert.deepEqual(sessions.resume('nobody-1'), { outcome: 'unknown' });
});

test('the lists, the dates and the changes tell the life of a session', () => {
  const { sessions, changes, clock } = store();
  const first = sessions.start({ ...REQUEST, reason: 'why not' });
  const second = sessions.start(REQUEST);
  sessions.connected(first.sessionId);
  sessions.connected(first.sessionId);
  sessions.disconnected(first.sessionId);
  assert.deepEqual(
    sessions.list('Active').map(({ sessionId, status }) => [sessionId, status]),
    [
      [second.sessionId, 'Connecting'],
      [first.sessionId, 'Disconnected'],
    ],
  );
  clock.tick(5_000);
  assert.equal(sessions.terminate(first.sessionId), 'terminated');
  assert.equal(sessions.terminate(first.sessionId), 'already');
  assert.equal(sessions.terminate('nobody-1'), 'unknown');
  sessions.connected(first.sessionId);
  sessions.end(second.sessionId, 'agent', 'why it failed');
  const history = sessions.list('History');
  assert.deepEqual(
    history.map(({ status, output, reason }) => [status, output, reason]),
    [
      ['Terminated', 'why it failed', undefined],
      ['Terminated', '', 'why not'],
    ],
  );
  assert.equal(history[1]!.endedAt! - history[1]!.startedAt, 5_000);
  assert.deepEqual(sessions.list('Active'), []);
  assert.deepEqual(
    changes.map((change) => (change.type === 'ended' ? `ended by ${change.by}` : change.type)),
    ['started', 'started', 'status', 'status', 'ended by api', 'ended by agent'],
  );
});

test('history is bounded', () => {
  const { sessions } = store();
  for (let count = 0; count < 1_010; count++) sessions.terminate(sessions.start(REQUEST).sessionId);
  assert.equal(sessions.list('History').length, 1_000);
});

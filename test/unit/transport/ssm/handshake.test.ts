import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Handshake, parseHandshakeRequest } from '../../../../src/transport/ssm/core/handshake.ts';
import { HANDSHAKE_COMPLETE, handshakeRequest } from '../../../support/agent-messages.ts';

const request = Buffer.from(handshakeRequest());
const complete = Buffer.from(HANDSHAKE_COMPLETE);

test('the request is answered once, whenever it comes again', () => {
  const handshake = new Handshake();
  assert.equal(handshake.state, 'waiting');
  assert.equal(handshake.request(request)?.agentVersion, '3.3.4121.0');
  assert.equal(handshake.state, 'answered');
  assert.equal(handshake.request(request), undefined);
  handshake.complete(complete);
  assert.equal(handshake.state, 'complete');
  assert.equal(handshake.request(request), undefined);
  assert.equal(handshake.state, 'complete');
});

test('a request that is malformed does not use up the one answer', () => {
  const handshake = new Handshake();
  assert.throws(() => handshake.request(Buffer.from('{')), { code: 'CT_PROTO_HANDSHAKE' });
  assert.ok(handshake.request(request));
});

test('a completion before any request is refused', () => {
  assert.throws(() => new Handshake().complete(complete), { code: 'CT_PROTO_HANDSHAKE' });
});

test('malformed requests and completions are refused with a typed error', () => {
  const action = (value: unknown) => JSON.stringify({ AgentVersion: '3.3.0.0', RequestedClientActions: [value] });
  const bad = [
    '',
    'null',
    '7',
    '[]',
    '{}',
    '{"RequestedClientActions":{}}',
    action(null),
    action({}),
    action({ ActionType: 7 }),
    action({ ActionType: 'SessionType' }),
    action({ ActionType: 'SessionType', ActionParameters: { SessionType: 3 } }),
    action({ ActionType: 'KMSEncryption', ActionParameters: {} }),
  ];
  for (const text of bad) {
    assert.throws(() => parseHandshakeRequest(Buffer.from(text)), { code: 'CT_PROTO_HANDSHAKE' }, text);
  }
  const handshake = new Handshake();
  handshake.request(request);
  for (const text of ['', 'null', '[]', '"x"']) {
    assert.throws(() => handshake.complete(Buffer.from(text)), { code: 'CT_PROTO_HANDSHAKE' }, text);
  }
});

test('a request with nothing but its actions is enough, unknown actions keep their place', () => {
  const { agentVersion, features, actions, session, kms } = parseHandshakeRequest(
    Buffer.from('{"RequestedClientActions":[{"ActionType":"Fancy"},{"ActionType":"Other","ActionParameters":7}]}'),
  );
  assert.equal(agentVersion, '');
  assert.equal(features.mux, false);
  assert.deepEqual(actions, ['Fancy', 'Other']);
  assert.deepEqual([session, kms], [undefined, undefined]);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acknowledgedNumber, acknowledgeText } from '../../src/transport/ssm/core/acknowledge.ts';
import { channelClosedReason } from '../../src/transport/ssm/core/channel-closed.ts';
import { encodeMessage } from '../../src/transport/ssm/core/client-message.ts';
import {
  ACTION_STATUS,
  handshakeResponseText,
  kmsActionResult,
  parseHandshakeComplete,
  parseHandshakeRequest,
} from '../../src/transport/ssm/core/handshake.ts';
import { openDataChannelText } from '../../src/transport/ssm/core/open-data-channel.ts';
import { SessionCipher } from '../../src/transport/ssm/core/session-cipher.ts';
import { reportVectors, ssmVectors } from '../support/ssm-vectors.ts';

const VERSION = '1.2.764.0';
const ID = '12345678-9abc-4def-8123-456789abcdef';

/** A frame whose id is the one in the vectors, for acknowledges. */
const frameWithId = encodeMessage({
  messageType: 'output_stream_data',
  schemaVersion: 1,
  createdDate: 1n,
  sequenceNumber: 0n,
  flags: 0n,
  messageId: ID,
  payloadType: 1,
  payload: Buffer.from('x'),
});

const sessionTypeDone = { actionType: 'SessionType', status: ACTION_STATUS.success };

/** Texts that we make ourselves: equal to the last byte. */
const MADE: Readonly<Record<string, () => string>> = {
  'client/open-data-channel-client': () =>
    openDataChannelText({
      requestId: '0b6f9a30-5c1c-4f0e-8f0a-6f5d9f0f7a11',
      token: 'AAEAAT+token/value==',
      clientId: '7f1de1d0-8a4f-4f3a-9d53-0c2e6b8d7c21',
      clientVersion: VERSION,
    }),
  'client/acknowledge-content': () => acknowledgeText('output_stream_data', frameWithId, 42),
  'agent/acknowledge-content': () => acknowledgeText('input_stream_data', frameWithId, 7),
  'client/handshake-response-session-type': () => handshakeResponseText(VERSION, [sessionTypeDone]),
  'client/handshake-response-kms': () =>
    handshakeResponseText(VERSION, [
      sessionTypeDone,
      {
        actionType: 'KMSEncryption',
        status: ACTION_STATUS.success,
        result: kmsActionResult(Buffer.from('CIPHERTEXT-BLOB-0123456789'), false),
      },
    ]),
  'client/handshake-response-failed': () =>
    handshakeResponseText(
      VERSION,
      [
        {
          actionType: 'SessionType',
          status: ACTION_STATUS.failed,
          error: 'Failed to process action SessionType: Unknown session type Foo',
        },
      ],
      ['Unknown session type Foo'],
    ),
  'client/handshake-response-unsupported-correct': () =>
    handshakeResponseText(
      VERSION,
      [{ actionType: 'Fancy', status: ACTION_STATUS.unsupported, error: 'Unsupported action Fancy' }],
      ['Unsupported action Fancy'],
    ),
  'client/handshake-response-no-actions': () => handshakeResponseText(VERSION, []),
  'agent/kms-encryption-response-with-challenge-ack': () =>
    JSON.stringify(kmsActionResult(Buffer.from('CIPHERTEXT-BLOB-0123456789'), true)),
};

const port = (properties: Record<string, string>) => (text: string) => {
  const request = parseHandshakeRequest(Buffer.from(text));
  assert.equal(request.agentVersion, '3.3.1142.0');
  assert.deepEqual(request.actions, ['SessionType']);
  assert.deepEqual(request.session, { sessionType: 'Port', properties });
  assert.equal(request.kms, undefined);
};

/** Texts that come from the far side: understood. */
const READ: Readonly<Record<string, (text: string) => void>> = {
  'agent/handshake-request-port': port({ localPortNumber: '0', portNumber: '80', type: 'LocalPortForwarding' }),
  'agent/handshake-request-port-remote-host': port({
    host: 'db.internal',
    localPortNumber: '15432',
    portNumber: '5432',
    type: 'LocalPortForwarding',
  }),
  'agent/handshake-request-ssh': port({ portNumber: '22' }),
  'agent/handshake-request-noninteractive': (text) =>
    assert.deepEqual(parseHandshakeRequest(Buffer.from(text)).session, {
      sessionType: 'NonInteractiveCommands',
      properties: {},
    }),
  'agent/handshake-request-shell-kms': (text) => {
    const request = parseHandshakeRequest(Buffer.from(text));
    assert.deepEqual(request.actions, ['SessionType', 'KMSEncryption']);
    assert.deepEqual(request.session, { sessionType: 'Standard_Stream', properties: {} });
    assert.deepEqual(request.kms, {
      keyId: 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab',
      challenge: 'AAECAwQFBgcICQoLDA0ODw==',
    });
  },
  'agent/handshake-complete': (text) =>
    assert.deepEqual(parseHandshakeComplete(Buffer.from(text)), { customerMessage: '' }),
  'agent/handshake-complete-kms': (text) =>
    assert.deepEqual(parseHandshakeComplete(Buffer.from(text)), {
      customerMessage: 'This session is encrypted using AWS KMS.',
    }),
  'client/channel-closed': (text) => assert.equal(channelClosedReason(Buffer.from(text)), 'boom'),
  // The agent's structure has no Output; a client that gets it reads a normal end.
  'agent/channel-closed-agent-structure': (text) => assert.equal(channelClosedReason(Buffer.from(text)), ''),
  'agent/acknowledge-content': (text) => assert.equal(acknowledgedNumber(Buffer.from(text)), 7),
  'client/acknowledge-content': (text) => assert.equal(acknowledgedNumber(Buffer.from(text)), 42),
  // Five bytes cannot be a sealed value: the shape is read, the content refused. The true exchange is in ssm-encryption.test.ts.
  'agent/encryption-challenge-request': (text) =>
    assert.throws(
      () =>
        new SessionCipher(Buffer.alloc(64), (byteCount) => Buffer.alloc(byteCount)).answerChallenge(Buffer.from(text)),
      { code: 'CT_PROTO_DIGEST' },
    ),
};

/** Texts that no part of cloudtun writes or reads: why each is not ours. Still they must be JSON that comes back the same. */
const NOT_OURS: Readonly<Record<string, string>> = {
  'client/size-data': 'terminal sizes belong to shells, which come later',
  'client/handshake-response-unsupported-official-bug': 'a defect of the official client; ours sends status 3',
  'client/encryption-challenge-response':
    'its value is no sealed text; ssm-encryption.test.ts makes and opens a true one',
  'agent/agent-session-state': 'between agent and service; a client that gets it ignores it',
  'agent/create-data-channel-input': 'the agent calls the service',
  'agent/open-data-channel-agent': 'the agent opens its own end',
  'agent/create-control-channel-input': 'the agent calls the service',
  'agent/open-control-channel': 'the agent opens its control channel',
  'agent/agent-task-complete': 'control channel',
  'agent/agent-task-acknowledge': 'control channel',
};

const vectors = ssmVectors('json');
let run = 0;

for (const { name, producer, json } of vectors) {
  const key = `${producer}/${name}`;
  test(`json ${key}`, () => {
    const uses = [MADE[key], READ[key], NOT_OURS[key]].filter((use) => use !== undefined);
    assert.ok(uses.length > 0, 'made, read, or said why not');
    if (MADE[key]) assert.equal(MADE[key](), json);
    READ[key]?.(json);
    assert.equal(JSON.stringify(JSON.parse(json)), json);
    run++;
  });
}

test('every payload text was made, read, or is not ours', (t) => {
  const keys = new Set(vectors.map(({ producer, name }) => `${producer}/${name}`));
  for (const key of [...Object.keys(MADE), ...Object.keys(READ), ...Object.keys(NOT_OURS)]) {
    assert.ok(keys.has(key), `${key} is a vector`);
  }
  reportVectors(t, 'json', run, vectors.length);
});

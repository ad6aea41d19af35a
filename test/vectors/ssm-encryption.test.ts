import assert from 'node:assert/strict';
import { createDecipheriv } from 'node:crypto';
import { test } from 'node:test';
import { encryptionContext } from '../../src/transport/ssm/core/handshake.ts';
import { SessionCipher } from '../../src/transport/ssm/core/session-cipher.ts';
import { reportVectors, ssmVectors, unhex } from '../support/ssm-vectors.ts';

const sealed = ssmVectors('aesGcm');
const kms = ssmVectors('kms');
const dataKey = unhex(kms.client.plaintextHex);

/** A cipher whose next nonce is this one. */
const cipherWithNonce = (nonceHex: string, key: Buffer = dataKey) => new SessionCipher(key, () => unhex(nonceHex));

test('the data key splits: the first half reads, the second half writes', (t) => {
  const cipher = cipherWithNonce('000000000000000000000001');
  const fromUs = cipher.seal(Buffer.from('up'));
  const writeKey = unhex(kms.client.clientEncryptKeyHex);
  const decipher = createDecipheriv('aes-256-gcm', writeKey, fromUs.subarray(0, 12));
  decipher.setAuthTag(fromUs.subarray(-16));
  assert.equal(decipher.update(fromUs.subarray(12, -16)).toString() + decipher.final('utf8'), 'up');
  const farKey = Buffer.concat([unhex(kms.client.clientEncryptKeyHex), unhex(kms.client.clientDecryptKeyHex)]);
  const fromFar = cipherWithNonce('000000000000000000000002', farKey).seal(Buffer.from('down'));
  assert.equal(cipher.open(fromFar).toString(), 'down');
  assert.equal(kms.client.numberOfBytes, dataKey.length);
  let run = 0;
  for (const byteCount of [0, 32, 63, 65]) {
    assert.throws(() => new SessionCipher(Buffer.alloc(byteCount), () => Buffer.alloc(12)), {
      code: 'CT_PROTO_HANDSHAKE',
    });
  }
  // The encryption contexts of the client that sends no challenge, and of the agent that asked for one.
  const { 'aws:ssm:SessionId': sessionId, 'aws:ssm:TargetId': targetId } = kms.client.encryptionContext;
  assert.deepEqual(encryptionContext(sessionId!, targetId!, undefined), kms.client.encryptionContext);
  run++;
  assert.deepEqual(
    encryptionContext(sessionId!, targetId!, kms.agent.randomChallenge),
    kms.agent.decryptEncryptionContext,
  );
  run++;
  reportVectors(t, 'kms', run, Object.keys(kms).length);
});

test('payloads seal and open as at the official ends', (t) => {
  let run = 0;
  for (const vector of sealed) {
    const isOurs = vector.direction === 'client-to-agent';
    const key = isOurs ? kms.client.clientEncryptKeyHex : kms.client.clientDecryptKeyHex;
    assert.equal(vector.keyHex, key);
    const plaintext = unhex(vector.plaintextHex);
    if (isOurs) {
      assert.equal(cipherWithNonce(vector.nonceHex).seal(plaintext).toString('hex'), vector.sealedHex);
    } else {
      assert.equal(cipherWithNonce('').open(unhex(vector.sealedHex)).toString('hex'), vector.plaintextHex);
    }
    // What one direction sealed, the other direction's key does not open.
    const wrongDirection = isOurs ? dataKey : Buffer.concat([dataKey.subarray(32), dataKey.subarray(0, 32)]);
    assert.throws(() => cipherWithNonce('', wrongDirection).open(unhex(vector.sealedHex)), { code: 'CT_PROTO_DIGEST' });
    run++;
  }
  reportVectors(t, 'aesGcm', run, sealed.length);
});

test('a sealed payload with one bit changed, or cut, is refused', () => {
  const cipher = cipherWithNonce('');
  const good = unhex(sealed.find(({ direction }) => direction === 'agent-to-client')!.sealedHex);
  for (let at = 0; at < good.length; at++) {
    const bad = Buffer.from(good);
    bad[at]! ^= 0x01;
    assert.throws(() => cipher.open(bad), { code: 'CT_PROTO_DIGEST' }, `bit in byte ${at}`);
    assert.throws(() => cipher.open(good.subarray(0, at)), { code: 'CT_PROTO_DIGEST' }, `cut at ${at}`);
  }
});

test('a challenge comes back sealed with our own key', () => {
  const farKey = Buffer.concat([dataKey.subarray(32), dataKey.subarray(0, 32)]);
  const far = cipherWithNonce('a44d9a5b4730c9c8d3c83443', farKey);
  const value = Buffer.from(Array.from({ length: 64 }, (_, index) => index));
  const request = JSON.stringify({ Challenge: far.seal(value).toString('base64') });
  const answer = JSON.parse(cipherWithNonce('a0a1a2a3a4a5a6a7a8a9aaab').answerChallenge(Buffer.from(request))) as {
    Challenge: string;
  };
  assert.deepEqual(far.open(Buffer.from(answer.Challenge, 'base64')), value);
  for (const bad of ['', '[]', 'null', '{}', '{"Challenge":7}']) {
    assert.throws(
      () => cipherWithNonce('').answerChallenge(Buffer.from(bad)),
      { code: 'CT_PROTO_HANDSHAKE' },
      `challenge ${bad}`,
    );
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import ssh2 from 'ssh2';
import { ephemeralKey } from '../../../src/ssh/ephemeral-key.ts';

test('an ephemeral key signs what its public line verifies', () => {
  const key = ephemeralKey('cloudtun alice');
  assert.match(key.publicKey, /^ssh-ed25519 AAAA[A-Za-z0-9+/]{64} cloudtun alice$/);
  const secret = ssh2.utils.parseKey(key.privateKey.reveal());
  const open = ssh2.utils.parseKey(key.publicKey);
  assert.ok(!(secret instanceof Error) && !(open instanceof Error));
  const text = Buffer.from('a message');
  assert.equal(open.verify(text, secret.sign(text) as Buffer), true);
});

test('every key is a new one, and whole: also those that begin with zeroes', () => {
  const keys = Array.from({ length: 600 }, () => ephemeralKey());
  assert.equal(new Set(keys.map((key) => key.publicKey)).size, keys.length);
  for (const { publicKey, privateKey } of keys) {
    assert.match(publicKey, /^ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI[A-Za-z0-9+/]{43} cloudtun$/);
    const parsed = ssh2.utils.parseKey(privateKey.reveal());
    assert.ok(!(parsed instanceof Error));
    assert.equal(parsed.getPublicSSH().toString('base64'), publicKey.split(' ')[1]);
  }
});

test('the private half is not printed', () => {
  const key = ephemeralKey();
  for (const text of [JSON.stringify(key), inspect(key, { depth: 9, showHidden: true }), `${key.privateKey}`]) {
    assert.ok(!text.includes('PRIVATE KEY'), text);
  }
});

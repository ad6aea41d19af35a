import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type TestContext, test } from 'node:test';
import { CloudtunError } from '../../../src/domain/errors.ts';
import { ephemeralKey } from '../../../src/ssh/ephemeral-key.ts';
import { hostKeyExpectation } from '../../../src/ssh/host-keys.ts';
import { KnownHosts } from '../../../src/ssh/known-hosts.ts';
import { manualWorld } from '../../support/manual-world.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const HOST = 'aws:i-0abc';
const blobOf = (line: string) => Buffer.from(line.split(' ')[1]!, 'base64');
const newKey = () => ephemeralKey().publicKey;

async function knownHosts(t: TestContext): Promise<KnownHosts> {
  return new KnownHosts(manualWorld({ home: await temporaryDirectory(t) }).world);
}

function refusal(run: () => unknown): CloudtunError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof CloudtunError);
    return error;
  }
  throw new assert.AssertionError({ message: 'it was accepted' });
}

test('the fingerprint is the one that ssh-keygen -l writes', async (t) => {
  // GitHub's published host key and fingerprint.
  const line = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl github';
  const verdict = hostKeyExpectation(await knownHosts(t), HOST, 'web-1', undefined).check(blobOf(line));
  assert.equal(verdict.fingerprint, 'SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU');
});

test('first use is trusted and remembered, in a file of the owner alone', async (t) => {
  const known = await knownHosts(t);
  const key = newKey();
  assert.equal(hostKeyExpectation(known, HOST, 'web-1', undefined).check(blobOf(key)).trust, 'first-use');
  assert.equal(statSync(known.path).mode & 0o777, 0o600);
  assert.equal(statSync(dirname(known.path)).mode & 0o777, 0o700);
  assert.equal(readFileSync(known.path, 'utf8'), `${HOST} ${key.split(' ').slice(0, 2).join(' ')}\n`);
  const again = hostKeyExpectation(known, HOST, 'web-1', undefined);
  assert.deepEqual(again.types, ['ssh-ed25519']);
  assert.equal(again.check(blobOf(key)).trust, 'known');
  // Another machine with another key is no change.
  assert.equal(hostKeyExpectation(known, 'aws:i-0abd', 'web-2', undefined).check(blobOf(newKey())).trust, 'first-use');
});

test('a changed key stops, with both fingerprints and the way to forget', async (t) => {
  const known = await knownHosts(t);
  hostKeyExpectation(known, HOST, 'web-1', undefined).check(blobOf(newKey()));
  const before = readFileSync(known.path, 'utf8');
  const error = refusal(() => hostKeyExpectation(known, HOST, 'web-1', undefined).check(blobOf(newKey())));
  assert.equal(error.code, 'CT_HOST_KEY_CHANGED');
  assert.equal(error.exitCode, 8);
  const details = new Map(error.details);
  assert.match(details.get('known') ?? '', /^ssh-ed25519 SHA256:[\w+/]{43}$/);
  assert.match(details.get('shown') ?? '', /^ssh-ed25519 SHA256:[\w+/]{43}$/);
  assert.notEqual(details.get('known'), details.get('shown'));
  assert.equal(details.get('file'), `${known.path}, line 1`);
  assert.match(error.hints.join('\n'), /cloudtun ssh --forget-host-key web-1/);
  assert.equal(readFileSync(known.path, 'utf8'), before);
});

test('what the cloud publishes decides', async (t) => {
  const known = await knownHosts(t);
  const [old, current] = [newKey(), newKey()];
  known.add(HOST, { type: 'ssh-ed25519', data: old.split(' ')[1]! });
  const published = { keys: ['', current], source: 'guest attributes' };
  const expectation = hostKeyExpectation(known, HOST, 'web-1', published);
  const verdict = expectation.check(blobOf(current));
  assert.deepEqual([verdict.trust, verdict.source], ['published', 'guest attributes']);
  const error = refusal(() => expectation.check(blobOf(old)));
  assert.equal(error.code, 'CT_HOST_KEY_CHANGED');
  assert.match(new Map(error.details).get('published') ?? '', /guest attributes/);
  // It is remembered: should the cloud publish nothing tomorrow, the machine is still known.
  assert.equal(hostKeyExpectation(known, HOST, 'web-1', undefined).check(blobOf(current)).trust, 'known');
});

test('comments, other names and broken lines are passed over', async (t) => {
  const known = await knownHosts(t);
  mkdirSync(dirname(known.path), { recursive: true });
  writeFileSync(known.path, `# hosts\n\nhalf a\n${HOST}x ssh-rsa AAAA\nother,${HOST} ssh-rsa BBBB comment\nno end`);
  assert.deepEqual(known.of(HOST), [{ line: 5, type: 'ssh-rsa', data: 'BBBB' }]);
  known.add(HOST, { type: 'ssh-ed25519', data: 'CCCC' });
  assert.deepEqual(known.of(HOST).at(-1), { line: 7, type: 'ssh-ed25519', data: 'CCCC' });
});

test('a file that cannot be read is an error and not a first use', async (t) => {
  const known = await knownHosts(t);
  mkdirSync(known.path, { recursive: true });
  assert.equal(refusal(() => hostKeyExpectation(known, HOST, 'web-1', undefined)).code, 'CT_STATE');
  chmodSync(known.path, 0o700);
});

test('a blob that is no key is a broken server', async (t) => {
  const known = await knownHosts(t);
  for (const blob of [[], [0, 0, 0, 9], [0xff, 0xff, 0xff, 0xff, 1], [0, 0, 0, 1, 65]]) {
    const error = refusal(() => hostKeyExpectation(known, HOST, 'web-1', undefined).check(Uint8Array.from(blob)));
    assert.equal(error.code, 'CT_PROTO_SSH');
  }
});

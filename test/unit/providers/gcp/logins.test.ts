import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { MachineTarget } from '../../../../src/domain/target.ts';
import { expiringEntry, withEntry } from '../../../../src/providers/gcp/ssh-metadata.ts';
import { ALICE, type FakeGcp, fakeGcp, inTurn, json, refusal } from '../../../support/gcp-answers.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

type Context = Parameters<typeof temporaryDirectory>[0];
const cloud = async (context: Context) => fakeGcp({ home: await temporaryDirectory(context) });
const signal = new AbortController().signal;
const MACHINE: MachineTarget = {
  kind: 'machine',
  provider: 'gcp',
  id: 'acme/europe-west4-a/web-1',
  name: 'web-1',
  state: 'running',
};
const KEY = 'ssh-ed25519 AAAA cloudtun';
const INSTANCE = 'compute/v1/projects/acme/zones/europe-west4-a/instances/web-1';
const IMPORT = `POST oslogin/v1/users/${ALICE}:importSshPublicKey`;

const withMetadata = (items: Record<string, string>, fingerprint = 'f1') =>
  json({
    id: '4711',
    metadata: { fingerprint, items: Object.entries(items).map(([key, value]) => ({ key, value })) },
  });
const project = (items: Record<string, string>) =>
  json({ commonInstanceMetadata: { items: Object.entries(items).map(([key, value]) => ({ key, value })) } });
const logins = ({ provider }: FakeGcp) => provider.logins!;

test('OS Login: a key with an end, and the account that the profile names', async (t) => {
  await using gcp = await cloud(t);
  gcp
    .on(`GET ${INSTANCE}`, withMetadata({}))
    .on('GET compute/v1/projects/acme', project({ 'enable-oslogin': 'TRUE' }))
    .on(`GET oslogin/v1/users/${ALICE}/loginProfile`, json({}))
    .on(
      IMPORT,
      json({
        loginProfile: { posixAccounts: [{ username: 'other' }, { username: 'alice_example_com', primary: true }] },
      }),
    );
  const guess = await logins(gcp).guessUser(MACHINE, signal);
  assert.deepEqual(guess, { user: 'alice_example_com', reason: `OS Login knows ${ALICE}` });
  const login = await logins(gcp).admitKey(MACHINE, guess.user, KEY, signal);
  const expiresAt = gcp.manual.clock.wall() + 300_000;
  assert.deepEqual(login, { user: 'alice_example_com', by: 'OS Login', expiresAt });
  const asked = gcp.asked.find(({ call }) => call === IMPORT);
  assert.deepEqual(JSON.parse(asked?.body ?? ''), { key: KEY, expirationTimeUsec: `${expiresAt}000` });
  assert.deepEqual(asked?.query, { projectId: 'acme' });
  // The account that was asked for, where the profile has it.
  assert.equal((await logins(gcp).admitKey(MACHINE, 'other', KEY, signal)).user, 'other');
});

test('OS Login that is denied', async (t) => {
  await using gcp = await cloud(t);
  gcp.on(`GET ${INSTANCE}`, withMetadata({ 'enable-oslogin': 'true' })).on(IMPORT, refusal(403, 'forbidden'));
  await assert.rejects(logins(gcp).admitKey(MACHINE, 'alice', KEY, signal), { code: 'CT_DENIED' });
});

test("metadata of the instance, the instance's own setting first; somebody else writes meanwhile", async (t) => {
  await using gcp = await cloud(t);
  gcp
    .on('GET compute/v1/projects/acme', project({ 'enable-oslogin': 'true' }))
    .on(
      `GET ${INSTANCE}`,
      inTurn(
        withMetadata({ 'enable-oslogin': 'FALSE', 'ssh-keys': 'ann:ssh-rsa B ann@x' }),
        withMetadata({ 'enable-oslogin': 'FALSE', 'ssh-keys': 'ann:ssh-rsa B ann@x' }),
        withMetadata({ 'enable-oslogin': 'FALSE', 'ssh-keys': 'ann:ssh-rsa B ann@x\nbob:ssh-rsa C bob@y' }, 'f2'),
      ),
    )
    .on(`POST ${INSTANCE}/setMetadata`, inTurn(refusal(412, 'conditionNotMet'), json({ status: 'DONE' })));
  const login = await logins(gcp).admitKey(MACHINE, 'alice', KEY, signal);
  assert.deepEqual([login.user, login.by], ['alice', 'instance metadata']);
  assert.ok((login.retryAfter?.length ?? 0) > 2);
  const writes = gcp.asked.filter(({ call }) => call.endsWith('setMetadata')).map(({ body }) => JSON.parse(body));
  assert.deepEqual(
    writes.map(({ fingerprint }) => fingerprint),
    ['f1', 'f2'],
  );
  assert.deepEqual(writes[1].items[0], { key: 'enable-oslogin', value: 'FALSE' });
  assert.match(
    writes[1].items[1].value,
    /^ann:ssh-rsa B ann@x\nbob:ssh-rsa C bob@y\nalice:ssh-ed25519 AAAA google-ssh \{"userName":"alice","expireOn":"2026-11-22T09:05:0\d\+0000"\}$/,
  );
});

test('metadata that is always written by others is given up', async (t) => {
  await using gcp = await cloud(t);
  gcp
    .on(`GET ${INSTANCE}`, withMetadata({ 'enable-oslogin': 'false' }))
    .on(`POST ${INSTANCE}/setMetadata`, refusal(412, 'conditionNotMet'));
  await assert.rejects(logins(gcp).admitKey(MACHINE, 'alice', KEY, signal), { code: 'CT_SERVICE' });
  assert.equal(gcp.asked.filter(({ call }) => call.endsWith('setMetadata')).length, 5);
});

test('host keys of the guest attributes; none where there are none, or they may not be read', async (t) => {
  await using gcp = await cloud(t);
  const call = `GET ${INSTANCE}/getGuestAttributes`;
  const items = [
    { namespace: 'hostkeys', key: 'ssh-ed25519', value: 'AAAAC3Nz comment' },
    { namespace: 'hostkeys', key: 'ssh-dss', value: 'AAAAB3Nz' },
    { namespace: 'hostkeys', key: 'ssh-rsa', value: 'not!base64' },
  ];
  gcp.on(call, json({ queryPath: 'hostkeys/', queryValue: { items } })).on(`GET ${INSTANCE}`, withMetadata({}));
  assert.deepEqual(await logins(gcp).hostKeys(MACHINE, signal), {
    keys: ['ssh-ed25519 AAAAC3Nz'],
    source: 'guest attributes',
  });
  assert.equal(await logins(gcp).hostName?.(MACHINE, signal), '4711');
  gcp.on(call, refusal(404, 'notFound'));
  assert.equal(await logins(gcp).hostKeys(MACHINE, signal), undefined);
  gcp.on(call, refusal(403, 'forbidden'));
  assert.equal(await logins(gcp).hostKeys(MACHINE, signal), undefined);
});

test('entries: expired neighbours go, what cannot be read stays, the oldest go when there are too many', () => {
  const now = Date.UTC(2026, 10, 22);
  const entry = expiringEntry('joe', 'ssh-ed25519 AAAA joe@laptop', Date.UTC(2099, 0, 2, 3, 4, 5, 678));
  assert.equal(entry, 'joe:ssh-ed25519 AAAA google-ssh {"userName":"joe","expireOn":"2099-01-02T03:04:05+0000"}');
  const before = [
    'old:ssh-rsa A google-ssh {"userName":"old","expireOn":"2001-01-01T00:00:00+0000"}',
    '',
    '  ann:ssh-rsa B ann@x  ',
    'odd:ssh-rsa C google-ssh {"userName":',
    'bad:ssh-rsa D google-ssh {"userName":"bad","expireOn":"soon"}',
  ].join('\n');
  assert.equal(withEntry(before, entry, now).split('\n').length, 4);
  assert.equal(withEntry(undefined, entry, now), entry);
  const many = Array.from({ length: 3 }, (_, index) => `u${index}:ssh-rsa ${'A'.repeat(100_000)} x`).join('\n');
  assert.deepEqual(
    withEntry(many, entry, now)
      .split('\n')
      .map((line) => line.split(':')[0]),
    ['u1', 'u2', 'joe'],
  );
});

test('a key is taken back from OS Login by the hash of the whole line', async (t) => {
  await using gcp = await cloud(t);
  const fingerprint = createHash('sha256').update(KEY).digest('hex');
  const remove = `DELETE oslogin/v1/users/${ALICE}/sshPublicKeys/${fingerprint}`;
  gcp.on(`GET ${INSTANCE}`, withMetadata({ 'enable-oslogin': 'true' })).on(remove, json({}));
  await logins(gcp).withdrawKey?.(MACHINE, KEY, signal);
  assert.ok(gcp.asked.some(({ call }) => call === remove));
  // Gone already.
  gcp.on(remove, refusal(404, 'notFound'));
  await logins(gcp).withdrawKey?.(MACHINE, KEY, signal);
});

test('a key is taken back from metadata: its line alone, whoever writes meanwhile', async (t) => {
  await using gcp = await cloud(t);
  const ann = 'ann:ssh-rsa B ann@x';
  const own = expiringEntry('alice', KEY, Date.UTC(2099, 0, 1));
  gcp
    .on(
      `GET ${INSTANCE}`,
      inTurn(
        withMetadata({ 'enable-oslogin': 'false', 'ssh-keys': `${ann}\n${own}` }),
        withMetadata({ 'enable-oslogin': 'false', 'ssh-keys': `${ann}\n${own}` }),
        withMetadata({ 'enable-oslogin': 'false', 'ssh-keys': `${own}\n${ann}` }, 'f2'),
        withMetadata({ 'enable-oslogin': 'false', 'ssh-keys': ann }, 'f3'),
      ),
    )
    .on(`POST ${INSTANCE}/setMetadata`, inTurn(refusal(412, 'conditionNotMet'), json({ status: 'DONE' })));
  await logins(gcp).withdrawKey?.(MACHINE, KEY, signal);
  await logins(gcp).withdrawKey?.(MACHINE, KEY, signal);
  const writes = gcp.asked.filter(({ call }) => call.endsWith('setMetadata')).map(({ body }) => JSON.parse(body));
  // What is not there any more is not written.
  assert.deepEqual(
    writes.map(({ fingerprint: read }) => read),
    ['f1', 'f2'],
  );
  assert.deepEqual(writes[1].items[1], { key: 'ssh-keys', value: ann });
});

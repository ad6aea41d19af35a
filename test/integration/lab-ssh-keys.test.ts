import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Agent } from 'node:https';
import type { Duplex } from 'node:stream';
import { suite, test } from 'node:test';
import { DescribeImagesCommand, DescribeInstancesCommand, EC2Client } from '@aws-sdk/client-ec2';
import { EC2InstanceConnectClient, SendSSHPublicKeyCommand } from '@aws-sdk/client-ec2-instance-connect';
import { changeInstance } from '../../src/lab/aws/inventory.ts';
import { CLOUD_PLATFORM } from '../../src/lab/gcp/token-store.ts';
import { systemWorld, type World } from '../../src/runtime/world.ts';
import { openTunnel } from '../../src/transport/dialers.ts';
import type { Tunnel } from '../../src/transport/tunnel.ts';
import { clientOptions, testLab } from '../support/aws-lab.ts';
import type { After } from '../support/gateway-lab.ts';
import { LabRelayTickets } from '../support/iap-lab.ts';
import { awsSshSocket, exec, gcpSshSocket, logIn, testKey } from '../support/lab-ssh-client.ts';
import { labTickets } from '../support/lab-tickets.ts';

type Json = Readonly<Record<string, unknown>>;

const WEB = 'i-0a1b2c3d4e5f60003';
const WEB_G = '4100000000000000001';
const BASTION_G = '4100000000000000002';
const ALICE = 'alice@example.com';
const PROJECT = '/compute/v1/projects/acme-practice';
const ZONE = `${PROJECT}/zones/asia-northeast1-a`;
const refused = { level: 'client-authentication' };
const never = new AbortController().signal;

/** The real world with a wall clock that is moved by hand. */
function movedWorld(): { readonly world: World; move(by: number): void } {
  const real = systemWorld();
  let moved = 0;
  const clock = { ...real.clock, wall: () => real.clock.wall() + moved };
  return {
    world: { ...real, clock },
    move: (by) => {
      moved += by;
    },
  };
}

suite('EC2 Instance Connect', () => {
  const push = (
    key: string,
    more: Partial<Record<'InstanceId' | 'InstanceOSUser' | 'AvailabilityZone', string>> = {},
  ) => new SendSSHPublicKeyCommand({ InstanceId: WEB, InstanceOSUser: 'ec2-user', SSHPublicKey: key, ...more });

  test('a pushed key lets in for a minute, on one machine, under one name', async (t) => {
    const { world, move } = movedWorld();
    const lab = await testLab(t, {}, world);
    const connect = new EC2InstanceConnectClient(clientOptions(lab));
    const key = testKey();
    const enter = async (userName = 'ec2-user', id = WEB) =>
      (await logIn(await awsSshSocket(lab, id), { userName, key })).end();

    await assert.rejects(enter(), refused);
    const { Success } = await connect.send(push(key.publicKey, { AvailabilityZone: 'ap-northeast-1a' }));
    assert.equal(Success, true);
    await enter();
    await assert.rejects(enter('root'), refused);
    await assert.rejects(enter('ec2-user', 'i-0a1b2c3d4e5f60001'), refused);
    move(59_000);
    await enter();
    assert.equal(lab.sshKeys.count(`aws/${WEB}`), 1);
    move(1_000);
    await assert.rejects(enter(), refused);
    assert.equal(lab.sshKeys.count(`aws/${WEB}`), 0);
    assert.equal(lab.calls.count('ec2-instance-connect:SendSSHPublicKey'), 1);
  });

  test('refusals: who may not, machines that are not there, not running, keys that are none', async (t) => {
    const lab = await testLab(t);
    const alice = new EC2InstanceConnectClient(clientOptions(lab));
    const mallory = new EC2InstanceConnectClient(clientOptions(lab, 'mallory'));
    const { publicKey } = testKey();
    const named = (name: string) => ({ name });
    await assert.rejects(mallory.send(push(publicKey)), named('AccessDeniedException'));
    const gone = { InstanceId: 'i-0123456789abcdef0' };
    await assert.rejects(alice.send(push(publicKey, gone)), named('EC2InstanceNotFoundException'));
    const elsewhere = { AvailabilityZone: 'ap-northeast-1c' };
    await assert.rejects(alice.send(push(publicKey, elsewhere)), named('EC2InstanceNotFoundException'));
    await assert.rejects(alice.send(push(publicKey, { InstanceOSUser: '-x' })), named('InvalidArgsException'));
    await assert.rejects(alice.send(push(`ssh-ed25519 ${'A'.repeat(80)}`)), named('InvalidArgsException'));
    lab.change((inventory) => changeInstance(inventory, 'web-1', { state: 'stopped' }));
    await assert.rejects(alice.send(push(publicKey)), named('EC2InstanceStateInvalidException'));
  });

  test('images say which user to expect', async (t) => {
    const lab = await testLab(t);
    const ec2 = new EC2Client(clientOptions(lab));
    const { Reservations = [] } = await ec2.send(
      new DescribeInstancesCommand({ Filters: [{ Name: 'tag:Name', Values: ['web-1', 'inner-1'] }] }),
    );
    const ids = Reservations.flatMap((one) => one.Instances ?? []).map(({ ImageId = '' }) => ImageId);
    const { Images = [] } = await ec2.send(new DescribeImagesCommand({ ImageIds: ids }));
    assert.deepEqual(
      Images.map(({ Name, OwnerId }) => [Name?.slice(0, 10), OwnerId]),
      [
        ['al2023-ami', '137112412989'],
        ['ubuntu/ima', '099720109477'],
      ],
    );
  });
});

/** Requests to the Google half of a lab, as somebody. */
async function gcp(t: After, world?: World) {
  const lab = await testLab(t, {}, world);
  const as = (email: string) => async (method: string, path: string, body?: object) => {
    const { token } = lab.gcp.tokens.issue(email, [CLOUD_PLATFORM]);
    const response = await fetch(`${lab.gcp.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, json: (await response.json()) as Json };
  };
  const enter = async (id: string, userName: string, key: ReturnType<typeof testKey>) =>
    (await logIn(await gcpSshSocket(lab, id), { userName, key })).end();
  return { lab, as, alice: as(ALICE), enter };
}

suite('OS Login', () => {
  const USER = `/oslogin/v1/users/${encodeURIComponent(ALICE)}`;
  const microseconds = (wall: number) => `${wall}000`;

  test('an imported key lets in until it expires, or is deleted by the digest of its whole line', async (t) => {
    const { world, move } = movedWorld();
    const { alice, enter } = await gcp(t, world);
    const key = testKey();
    assert.deepEqual((await alice('GET', `${USER}/loginProfile`)).json, { name: ALICE });
    const end = microseconds(world.clock.wall() + 60_000);
    const imported = await alice('POST', `${USER}:importSshPublicKey?projectId=acme-practice`, {
      key: key.publicKey,
      expirationTimeUsec: end,
    });
    const { loginProfile } = imported.json as { readonly loginProfile: Json };
    const fingerprint = createHash('sha256').update(key.publicKey).digest('hex');
    assert.deepEqual(loginProfile.sshPublicKeys, {
      [fingerprint]: { key: key.publicKey, fingerprint, expirationTimeUsec: end },
    });
    const [account] = loginProfile.posixAccounts as readonly Json[];
    assert.equal(account?.username, 'alice_example_com');
    await enter(WEB_G, 'alice_example_com', key);
    await assert.rejects(enter(WEB_G, 'alice', key), refused);
    // Where OS Login is off it counts for nothing.
    await assert.rejects(enter(BASTION_G, 'alice_example_com', key), refused);

    const later = { expirationTimeUsec: microseconds(world.clock.wall() + 120_000) };
    const patched = await alice('PATCH', `${USER}/sshPublicKeys/${fingerprint}?updateMask=expirationTimeUsec`, later);
    assert.equal(patched.json.expirationTimeUsec, later.expirationTimeUsec);
    move(61_000);
    await enter(WEB_G, 'alice_example_com', key);
    const blobDigest = createHash('sha256')
      .update(Buffer.from(key.publicKey.split(' ')[1] ?? '', 'base64'))
      .digest('hex');
    assert.equal((await alice('DELETE', `${USER}/sshPublicKeys/${blobDigest}`)).status, 200);
    await enter(WEB_G, 'alice_example_com', key);
    assert.equal((await alice('DELETE', `${USER}/sshPublicKeys/${fingerprint}`)).status, 200);
    await assert.rejects(enter(WEB_G, 'alice_example_com', key), refused);
    await alice('POST', `${USER}:importSshPublicKey`, { key: key.publicKey, ...later });
    move(60_000);
    await assert.rejects(enter(WEB_G, 'alice_example_com', key), refused);
    assert.equal((await alice('GET', `${USER}/loginProfile`)).json.sshPublicKeys, undefined);
  });

  test('refusals', async (t) => {
    const { as, alice } = await gcp(t);
    const key = testKey().publicKey;
    const importing = `${USER}:importSshPublicKey?projectId=acme-practice`;
    assert.equal((await as('bob@example.com')('POST', importing, { key })).status, 403);
    const mallory = `/oslogin/v1/users/mallory@example.com:importSshPublicKey?projectId=acme-practice`;
    assert.equal((await as('mallory@example.com')('POST', mallory, { key })).status, 403);
    assert.equal((await alice('POST', importing, { key: 'ssh-ed25519 nothing' })).status, 400);
    assert.equal((await alice('POST', importing, { key, expirationTimeUsec: '1000' })).status, 400);
    assert.equal((await alice('POST', importing.replace('acme-practice', 'nobody'), { key })).status, 403);
    const unknown = `${USER}/sshPublicKeys/00?updateMask=expirationTimeUsec`;
    assert.equal((await alice('PATCH', unknown, {})).status, 404);
    const long = (index: number) => ({ key: `${key} ${String(index).repeat(15_000)}` });
    assert.equal((await alice('POST', importing, long(1))).status, 200);
    assert.equal((await alice('POST', importing, long(2))).status, 200);
    assert.equal((await alice('POST', importing, long(3))).status, 400);
  });
});

suite('metadata keys and guest attributes', () => {
  interface Metadata {
    readonly fingerprint: string;
    readonly items: readonly { readonly key: string; readonly value: string }[];
  }
  const read = async (ask: (method: string, path: string) => Promise<{ readonly json: Json }>, path: string) => {
    const { json } = await ask('GET', path);
    return (json.metadata ?? json.commonInstanceMetadata) as Metadata;
  };

  test('a key of the instance lets in until it expires; a change needs the fingerprint it is based on', async (t) => {
    const { world, move } = movedWorld();
    const { alice, enter } = await gcp(t, world);
    const key = testKey();
    const place = `${ZONE}/instances/bastion-g`;
    const { fingerprint, items } = await read(alice, place);
    const [type, blob] = key.publicKey.split(' ');
    const expireOn = new Date(world.clock.wall() + 60_000).toISOString().replace(/\.\d+Z$/, '+0000');
    const value = `dev:${type} ${blob} google-ssh {"userName":"dev","expireOn":"${expireOn}"}`;
    const change = { fingerprint, items: [...items, { key: 'ssh-keys', value }] };
    const { status, json } = await alice('POST', `${place}/setMetadata`, change);
    assert.deepEqual([status, json.status, json.operationType], [200, 'RUNNING', 'setMetadata']);
    const done = await alice('POST', `${ZONE}/operations/${String(json.name)}/wait`);
    assert.equal(done.json.status, 'DONE');
    assert.equal((await alice('GET', `${ZONE}/operations/nothing`)).status, 404);
    assert.equal((await alice('POST', `${place}/setMetadata`, change)).status, 412);
    await enter(BASTION_G, 'dev', key);
    await assert.rejects(enter(BASTION_G, 'alice', key), refused);
    await assert.rejects(enter(WEB_G, 'dev', key), refused);
    move(61_000);
    await assert.rejects(enter(BASTION_G, 'dev', key), refused);
  });

  test('project keys, until the instance blocks them', async (t) => {
    const { alice, enter } = await gcp(t);
    const key = testKey();
    const common = await read(alice, PROJECT);
    const items = [{ key: 'ssh-keys', value: `dev:${key.publicKey}` }];
    const first = { fingerprint: common.fingerprint, items };
    assert.equal((await alice('POST', `${PROJECT}/setCommonInstanceMetadata`, first)).status, 200);
    await enter(BASTION_G, 'dev', key);
    const own = await read(alice, `${ZONE}/instances/bastion-g`);
    const blocked = { fingerprint: own.fingerprint, items: [{ key: 'block-project-ssh-keys', value: 'TRUE' }] };
    assert.equal((await alice('POST', `${ZONE}/instances/bastion-g/setMetadata`, blocked)).status, 200);
    await assert.rejects(enter(BASTION_G, 'dev', key), refused);
  });

  test('published host keys are the ones that are shown', async (t) => {
    const { lab, alice } = await gcp(t);
    const key = testKey();
    const { json } = await alice('GET', `${ZONE}/instances/bastion-g/getGuestAttributes?queryPath=hostkeys/`);
    const { items } = json.queryValue as { readonly items: readonly Json[] };
    lab.sshKeys.add(`gcp/${BASTION_G}`, 'dev', key.publicKey);
    let shown = '';
    const onHostKey = (blob: Buffer) => {
      shown = blob.toString('base64');
    };
    (await logIn(await gcpSshSocket(lab, BASTION_G), { userName: 'dev', key, onHostKey })).end();
    assert.deepEqual(items, [{ namespace: 'hostkeys', key: 'ssh-ed25519', value: shown }]);
    const silent = `${PROJECT}/zones/asia-northeast1-c/instances/inner-g/getGuestAttributes?queryPath=hostkeys/`;
    assert.equal((await alice('GET', silent)).status, 404);
  });
});

test('port 22 answers through Session Manager and Identity-Aware Proxy', async (t) => {
  const lab = await testLab(t);
  const key = testKey();
  lab.sshKeys.add(`aws/${WEB}`, 'ec2-user', key.publicKey);
  lab.sshKeys.add(`gcp/${WEB_G}`, 'dev', key.publicKey);
  const ca = [lab.gcp.authorityPem];
  const agent = new Agent({ ca });
  const world = systemWorld();
  const through = async (tunnel: Tunnel, userName: string) => {
    const stream: Duplex = await tunnel.open(never);
    const client = await logIn(stream, { userName, key });
    const { stdout } = await exec(client, 'hostname; head -c 1000000 /dev/zero | sha256sum');
    client.end();
    await tunnel[Symbol.asyncDispose]();
    return stdout.toString().split('\n').slice(0, 2);
  };
  const digest = `${createHash('sha256').update(Buffer.alloc(1_000_000)).digest('hex')}  -`;
  const to = { port: 22 };
  const tickets = labTickets(clientOptions(lab), WEB);
  t.after(() => tickets.client.destroy());
  const plain = { network: { agentFor: () => undefined, ca: [] }, onEvent: () => {} };
  assert.deepEqual(await through(await openTunnel(world, tickets, to, plain, never), 'ec2-user'), ['web-1', digest]);
  const relayed = { network: { agentFor: () => agent, ca }, onEvent: () => {} };
  const relay = await openTunnel(world, new LabRelayTickets(lab), to, relayed, never);
  assert.deepEqual(await through(relay, 'dev'), ['web-1', digest]);
  agent.destroy();
});

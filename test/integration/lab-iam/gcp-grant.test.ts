/** Conditional bindings open one port of one machine until a date, and nothing else: the lab enforces them. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { RelayTarget } from '../../../src/lab/gcp/relay/core/relay-request.ts';
import { USER_SCOPES } from '../../../src/lab/gcp/token-store.ts';
import type { Lab } from '../../../src/lab/lab.ts';
import { askPractice } from '../../../src/lab/practice-query.ts';
import { systemWorld, type World } from '../../../src/runtime/world.ts';
import { testLab } from '../../support/aws-lab.ts';
import { cliLab } from '../../support/cli-lab.ts';

const PROJECT = 'acme-practice';
const ZONE = 'asia-northeast1-a';
const VM = `projects/${PROJECT}/iap_tunnel/zones/${ZONE}/instances/bastion-g`;
const GROUP = `projects/${PROJECT}/iap_tunnel/locations/asia-northeast1/destGroups/private-sql`;
const ACCESSOR = 'roles/iap.tunnelResourceAccessor';
const ALICE = 'alice@example.com';
const MALLORY = 'mallory@example.com';
const READERS = 'group:readers@example.com';
const VIEW = ['roles/compute.viewer', 'roles/cloudsql.viewer', 'roles/iap.tunnelDestGroupViewer'];

async function enforcing(t: { after(call: () => Promise<void>): void }, world: World = systemWorld()): Promise<Lab> {
  const lab = await testLab(t, {}, world);
  enforce(lab);
  return lab;
}

function enforce(lab: Lab): void {
  lab.gcp.iam.enforce = true;
  lab.gcp.change((inventory) => ({
    ...inventory,
    people: inventory.people.map((one) => ({ ...one, denied: [] })),
  }));
  lab.gcp.iam.setGroup('readers@example.com', [ALICE]);
  for (const role of VIEW)
    lab.gcp.iam.bind(`projects/${PROJECT}`, { role, members: [`user:${ALICE}`, `user:${MALLORY}`] });
}

const only = (expression: string) => ({ title: 'only', expression });

/** What the tunnel service meets behind a port of a machine. */
function reach(lab: Lab, email: string, port: number, instance = 'bastion-g'): Promise<string> {
  const place = { kind: 'instance', project: PROJECT, zone: ZONE, networkInterface: 'nic0' } as const;
  return reachTarget(lab, email, { ...place, instance, port });
}

const reachTarget = async (lab: Lab, email: string, target: RelayTarget): Promise<string> =>
  (await lab.gcp.network.resolve(target, email)).kind;

/** Calls an API as somebody; the status and the body. */
async function call(lab: Lab, email: string, method: string, path: string, body?: object) {
  const { token } = lab.gcp.tokens.issue(email, USER_SCOPES);
  const answer = await fetch(`${lab.gcp.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

suite('the product', () => {
  test('Alice is denied before the binding, opens shop with it, and no other port', async (t) => {
    const { lab, start, run } = await cliLab(t);
    enforce(lab);
    const command = ['sql', 'shop', '--port', 'auto'];
    const before = await run(command);
    assert.equal(before.code, 4, before.stderr);
    lab.gcp.iam.bind(GROUP, { role: ACCESSOR, members: [READERS], condition: only('destination.port == 3306') });
    const open = start(command);
    const [, port] = await open.saw(/^ready 127\.0\.0\.1:(\d+) -> /m);
    const answer = await askPractice({ host: '127.0.0.1', port: Number(port) }, 'SELECT count(*) AS n FROM orders');
    assert.deepEqual(answer.rows, [['50']]);
    open.process.kill('SIGINT');
    assert.equal((await open.ended).code, 130);
    const other = await run(['forward', `${PROJECT}/${ZONE}/bastion-g`, '-L', '0:22']);
    assert.equal(other.code, 4, other.stderr);
  });
});

suite('conditions', () => {
  test('port, machine, person and group', async (t) => {
    const lab = await enforcing(t);
    assert.equal(await reach(lab, ALICE, 5432), 'denied');
    lab.gcp.iam.bind(VM, { role: ACCESSOR, members: [READERS], condition: only('destination.port == 5432') });
    assert.equal(await reach(lab, ALICE, 5432), 'address');
    assert.equal(await reach(lab, ALICE, 22), 'denied', 'another port');
    assert.equal(await reach(lab, ALICE, 5432, 'web-1'), 'denied', 'another machine');
    assert.equal(await reach(lab, MALLORY, 5432), 'denied', 'another person');
    lab.gcp.iam.setGroup('on-call@example.com', [MALLORY]);
    lab.gcp.iam.setGroup('readers@example.com', [ALICE, 'on-call@example.com']);
    assert.equal(await reach(lab, MALLORY, 5432), 'address', 'a group in the group');
  });

  test('the end date', async (t) => {
    const world = systemWorld();
    let ahead = 0;
    const clock = Object.create(world.clock, { wall: { value: () => world.clock.wall() + ahead } });
    for (const name of ['now', 'after', 'sleep'] as const)
      clock[name] = (world.clock[name] as () => void).bind(world.clock);
    const lab = await enforcing(t, { ...world, clock });
    const until = new Date(world.clock.wall() + 3_600_000).toISOString();
    const condition = only(`destination.port == 5432 && request.time < timestamp("${until}")`);
    lab.gcp.iam.bind(VM, { role: ACCESSOR, members: [READERS], condition });
    assert.equal(await reach(lab, ALICE, 5432), 'address');
    const place = { kind: 'instance', project: PROJECT, zone: ZONE, networkInterface: 'nic0' } as const;
    const mayReturn = () => lab.gcp.network.mayReturn({ ...place, instance: 'bastion-g', port: 5432 }, ALICE);
    assert.equal(mayReturn(), true);
    ahead = 7_200_000;
    assert.equal(await reach(lab, ALICE, 5432), 'denied');
    assert.equal(mayReturn(), false, 'nor may a conversation be gone on with over another websocket');
  });

  test('the address, and access levels', async (t) => {
    const lab = await enforcing(t);
    const ip = lab.gcp.inventory.instances.find(({ name }) => name === 'bastion-g')?.ip;
    const level = 'accessPolicies/1/accessLevels/office';
    const expression = `destination.ip == "${ip}" && "${level}" in request.auth.access_levels`;
    lab.gcp.iam.bind(`projects/${PROJECT}/iap_tunnel`, {
      role: ACCESSOR,
      members: [READERS],
      condition: only(expression),
    });
    assert.equal(await reach(lab, ALICE, 5432), 'denied');
    lab.gcp.iam.setAccessLevels(ALICE, [level]);
    assert.equal(await reach(lab, ALICE, 5432), 'address');
    assert.equal(await reach(lab, ALICE, 80, 'web-1'), 'denied');
  });

  test('a destination group', async (t) => {
    const lab = await enforcing(t);
    const host = lab.gcp.inventory.databases.find(({ name }) => name === 'reports')?.privateIp ?? '';
    const place = { kind: 'host', project: PROJECT, region: 'asia-northeast1', network: 'practice-vpc' } as const;
    const to = (port: number) => reachTarget(lab, ALICE, { ...place, host, group: 'private-sql', port });
    assert.equal(await to(5432), 'denied');
    lab.gcp.iam.bind(GROUP, {
      role: ACCESSOR,
      members: [READERS],
      condition: only(`destination.port == 5432 && destination.ip == "${host}"`),
    });
    assert.equal(await to(5432), 'address');
    assert.equal(await to(3306), 'denied');
  });
});

suite('the APIs that bindings are set with', () => {
  const IAP_VM = `/iap/v1/projects/${PROJECT}/iap_tunnel/zones/${ZONE}/instances/bastion-g`;
  const policyOf = (condition = only('destination.port == 5432')) => ({
    bindings: [{ role: ACCESSOR, members: [READERS], condition }],
    version: 3,
  });

  test('set by an administrator it grants; anybody else may not even read it', async (t) => {
    const lab = await enforcing(t);
    const admin = 'admin@example.com';
    for (const verb of ['getIamPolicy', 'setIamPolicy']) {
      const denied = await call(lab, ALICE, 'POST', `${IAP_VM}:${verb}`, { policy: policyOf() });
      assert.equal(denied.status, 403);
    }
    const before = await call(lab, admin, 'POST', `${IAP_VM}:getIamPolicy`, { options: { requestedPolicyVersion: 3 } });
    const { etag } = before.body;
    const set = await call(lab, admin, 'POST', `${IAP_VM}:setIamPolicy`, { policy: { ...policyOf(), etag } });
    assert.equal(set.status, 200, JSON.stringify(set.body));
    assert.equal(await reach(lab, ALICE, 5432), 'address');
    const lost = await call(lab, admin, 'POST', `${IAP_VM}:setIamPolicy`, { policy: { ...policyOf(), etag } });
    assert.deepEqual([lost.status, (lost.body.error as { status: string }).status], [409, 'ABORTED']);

    const old = await call(lab, admin, 'POST', `${IAP_VM}:getIamPolicy`, {});
    assert.match(JSON.stringify(old.body), /tunnelResourceAccessor_withcond_/);
    const number = lab.gcp.inventory.projects.find(({ id }) => id === PROJECT)?.number;
    const id = lab.gcp.inventory.instances.find(({ name }) => name === 'bastion-g')?.id;
    const byNumber = `/iap/v1/projects/${number}/iap_tunnel/zones/${ZONE}/instances/${id}:getIamPolicy`;
    const same = await call(lab, admin, 'POST', byNumber, { options: { requestedPolicyVersion: 3 } });
    assert.deepEqual((same.body.bindings as { condition: object }[])[0]?.condition, only('destination.port == 5432'));
  });

  for (const [what, policy, message] of [
    ['a condition in version 1', { ...policyOf(), version: 1 }, /version must be 3/],
    ['a condition that does not compile', policyOf(only('destination.prot == 1')), /compilation failed/],
    ['a condition with a macro', policyOf(only('[1].all(x, x == 1)')), /compilation failed/],
    [
      'an owner with a condition',
      { version: 3, bindings: [{ ...policyOf().bindings[0], role: 'roles/owner' }] },
      /basic roles/,
    ],
    ['a role that is none', { bindings: [{ role: 'accessor', members: [READERS] }] }, /is not supported/],
    [
      'a custom role that is not there',
      { bindings: [{ role: `projects/${PROJECT}/roles/x`, members: [READERS] }] },
      /does not exist/,
    ],
    ['a member that is none', { bindings: [{ role: ACCESSOR, members: ['alice'] }] }, /Invalid member/],
    ['no list', { bindings: {} }, /must be a list/],
  ] as const) {
    test(`refused: ${what}`, async (t) => {
      const lab = await enforcing(t);
      const answer = await call(lab, 'admin@example.com', 'POST', `${IAP_VM}:setIamPolicy`, { policy });
      assert.equal(answer.status, 400);
      assert.match((answer.body.error as { message: string }).message, message);
    });
  }

  test('project, machine and tunnel resources; custom roles; destination groups', async (t) => {
    const lab = await enforcing(t);
    const admin = 'admin@example.com';
    const roles = `/iam/v1/projects/${PROJECT}/roles`;
    const role = { title: 'Look', includedPermissions: ['compute.instances.get'], stage: 'GA' };
    const made = await call(lab, admin, 'POST', roles, { roleId: 'look', role });
    assert.equal(made.status, 200, JSON.stringify(made.body));
    assert.equal((await call(lab, admin, 'POST', roles, { roleId: 'look', role })).status, 409);
    const bindings = [{ role: `projects/${PROJECT}/roles/look`, members: ['user:bob@example.com'] }];
    const machine = `/compute/v1/projects/${PROJECT}/zones/${ZONE}/instances/web-1`;
    assert.equal((await call(lab, 'bob@example.com', 'GET', machine)).status, 403);
    assert.equal((await call(lab, admin, 'POST', `${machine}/setIamPolicy`, { policy: { bindings } })).status, 200);
    assert.equal((await call(lab, 'bob@example.com', 'GET', machine)).status, 200);
    assert.equal((await call(lab, admin, 'DELETE', `${roles}/look`)).status, 200);
    assert.equal((await call(lab, 'bob@example.com', 'GET', machine)).status, 403, 'a deleted role grants nothing');

    const project = `/cloudresourcemanager/v1/projects/${PROJECT}`;
    const read = await call(lab, admin, 'POST', `${project}:getIamPolicy`, {});
    assert.equal(read.status, 200);
    const asked = { permissions: ['compute.instances.get', 'compute.instances.setMetadata'] };
    const held = await call(lab, ALICE, 'POST', `${project}:testIamPermissions`, asked);
    assert.deepEqual(held.body, { permissions: ['compute.instances.get'] });

    const groups = `/iap/v1/projects/${PROJECT}/iap_tunnel/locations/asia-northeast1/destGroups`;
    const created = await call(lab, admin, 'POST', `${groups}?tunnelDestGroupId=orders-db`, { cidrs: ['10.9.0.1/32'] });
    assert.equal(created.status, 200, JSON.stringify(created.body));
    assert.equal((await call(lab, ALICE, 'PATCH', `${groups}/orders-db`, { cidrs: ['0.0.0.0/0'] })).status, 403);
    const grown = await call(lab, admin, 'PATCH', `${groups}/orders-db?updateMask=fqdns`, {
      cidrs: [],
      fqdns: ['a.internal'],
    });
    assert.deepEqual([grown.body.cidrs, grown.body.fqdns], [['10.9.0.1/32'], ['a.internal']]);
    assert.equal((await call(lab, admin, 'DELETE', `${groups}/orders-db`)).status, 200);
    assert.equal((await call(lab, admin, 'GET', `${groups}/orders-db`)).status, 404);
  });
});

suite('the audit log', () => {
  test('an entry for each websocket, granted or not, late and twice where told', async (t) => {
    const lab = await enforcing(t);
    lab.gcp.iam.bind(VM, { role: ACCESSOR, members: [READERS], condition: only('destination.port == 5432') });
    lab.gcp.audit.events.set({ duplicateEvery: 2 });
    await reach(lab, ALICE, 5432);
    await reach(lab, MALLORY, 5432);
    const filter =
      'protoPayload.serviceName="iap.googleapis.com" AND protoPayload.methodName="AuthorizeUser" AND resource.type="gce_instance"';
    const list = (email: string) =>
      call(lab, email, 'POST', '/logging/v2/entries:list', { resourceNames: [`projects/${PROJECT}`], filter });
    assert.equal((await list(ALICE)).status, 403);
    const { body } = await list('admin@example.com');
    type Entry = {
      insertId: string;
      protoPayload: {
        authenticationInfo: { principalEmail: string };
        authorizationInfo: { granted: boolean; resource: string }[];
        requestMetadata: { destinationAttributes: object };
      };
    };
    const entries = body.entries as Entry[];
    assert.deepEqual(
      entries.map(({ protoPayload }) => [
        protoPayload.authenticationInfo.principalEmail,
        protoPayload.authorizationInfo[0]?.granted,
      ]),
      [
        [ALICE, true],
        [MALLORY, false],
        [MALLORY, false],
      ],
    );
    assert.equal(entries[1]?.insertId, entries[2]?.insertId);
    assert.match(
      entries[0]?.protoPayload.authorizationInfo[0]?.resource ?? '',
      /^projects\/\d+\/iap_tunnel\/zones\/asia-northeast1-a\/instances\/\d+$/,
    );
    lab.gcp.audit.events.set({ delayMs: 3_600_000 });
    assert.deepEqual((await list('admin@example.com')).body, {});
    const wrong = { resourceNames: [`projects/${PROJECT}`], filter: 'severity = = ERROR' };
    assert.equal((await call(lab, 'admin@example.com', 'POST', '/logging/v2/entries:list', wrong)).status, 400);
  });
});

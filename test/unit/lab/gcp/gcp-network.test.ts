import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { AuditLog } from '../../../../src/lab/gcp/audit-log.ts';
import { admitsTunnels, GcpLabNetwork } from '../../../../src/lab/gcp/gcp-network.ts';
import { GcpIam } from '../../../../src/lab/gcp/iam/gcp-iam.ts';
import { changeVm, type GcpFirewall, type GcpInventory } from '../../../../src/lab/gcp/inventory.ts';
import { practiceProject } from '../../../../src/lab/gcp/practice-project.ts';
import type { RelayTarget } from '../../../../src/lab/gcp/relay/core/relay-request.ts';
import { manualWorld } from '../../../support/manual-world.ts';

const ALICE = 'alice@example.com';
const BOB = 'bob@example.com';

function answers(inventory: GcpInventory = practiceProject()) {
  const { world } = manualWorld();
  const network = new GcpLabNetwork({
    inventory: () => inventory,
    iam: new GcpIam(world, () => inventory),
    audit: new AuditLog(world),
    database: async (backend) => ({ host: backend, port: 1 }),
    service: async (machine, service) => ({ host: `${machine}/${service}`, port: 2 }),
    ssh: async (machineId) => ({ host: `${machineId}/ssh`, port: 3 }),
  });
  const resolve = async (target: RelayTarget, email: string) => {
    const found = await network.resolve(target, email);
    return found.kind === 'address' ? found.host : found.kind;
  };
  const vm = (instance: string, port: number, email = ALICE, more: { zone?: string; project?: string } = {}) =>
    resolve(
      {
        kind: 'instance',
        project: 'acme-practice',
        zone: 'asia-northeast1-a',
        instance,
        networkInterface: 'nic0',
        port,
        ...more,
      },
      email,
    );
  const host = (name: string, port: number, email = ALICE, more: { network?: string; group?: string } = {}) =>
    resolve(
      {
        kind: 'host',
        project: 'acme-practice',
        region: 'asia-northeast1',
        network: 'practice-vpc',
        group: undefined,
        host: name,
        port,
        ...more,
      },
      email,
    );
  return { network, vm, host };
}

suite('what the tunnel service meets', () => {
  test('machines', async () => {
    const { vm } = answers();
    assert.equal(await vm('web-1', 80), 'web-1/web');
    assert.equal(await vm('4100000000000000001', 80), 'web-1/web');
    assert.equal(await vm('web-1', 23), 'refused');
    assert.equal(await vm('web-1', 22), '4100000000000000001/ssh');
    assert.equal(await vm('web-1', 80, BOB), 'denied');
    assert.equal(await vm('web-1', 80, 'stranger@example.com'), 'denied');
    assert.equal(await vm('web-1', 80, ALICE, { zone: 'asia-northeast1-b' }), 'unknown');
    assert.equal(await vm('web-1', 80, ALICE, { project: 'nobody' }), 'denied');
    assert.equal(await vm('web-2', 80), 'unknown');
    assert.equal(await vm('batch-g', 22, ALICE, { zone: 'asia-northeast1-b' }), 'unknown');
    assert.equal(await vm('closed-1', 80, ALICE, { zone: 'asia-northeast1-b' }), 'silent');
    assert.equal(await vm('bastion-g', 5432), 'orders');
    assert.equal(await vm('etl-1', 80, ALICE, { project: 'acme-analytics', zone: 'asia-northeast1-c' }), 'etl-1/web');
    assert.equal(await vm('etl-1', 443, ALICE, { project: 'acme-analytics', zone: 'asia-northeast1-c' }), 'silent');
  });

  test('hosts of a destination group', async () => {
    const { host } = answers();
    assert.equal(await host('10.40.32.5', 5432), 'orders');
    assert.equal(await host('10.40.32.6', 3306), 'prod');
    assert.equal(await host('10.40.32.5', 22), 'refused');
    assert.equal(await host('10.40.32.7', 5432), 'silent');
    assert.equal(await host('10.40.32.99', 5432), 'silent');
    assert.equal(await host('reports.practice.internal', 5432), 'orders');
    assert.equal(await host('shop.sql.practice.internal', 3306), 'prod');
    assert.equal(await host('admin.practice.internal', 80), 'denied');
    assert.equal(await host('nobody.sql.practice.internal', 80), 'unknown');
    assert.equal(await host('10.40.32.5', 5432, BOB), 'denied');
    assert.equal(await host('10.40.32.5', 5432, ALICE, { group: 'private-sql' }), 'orders');
    assert.equal(await host('10.40.32.5', 5432, ALICE, { group: 'other' }), 'denied');
    assert.equal(await host('10.40.32.5', 5432, ALICE, { network: 'other-vpc' }), 'unknown');
    const path = 'projects/acme-practice/global/networks/practice-vpc';
    assert.equal(await host('10.40.32.5', 5432, ALICE, { network: path }), 'orders');
  });

  test('a server of a test is put on a port, and taken away', async () => {
    const { network, vm } = answers();
    const detach = network.attach('web-1', 8080, { host: 'mine', port: 3 });
    assert.equal(await vm('web-1', 8080), 'mine');
    detach();
    assert.equal(await vm('web-1', 8080), 'refused');
  });

  test('a machine that is changed is another one at once', async () => {
    const { vm } = answers(changeVm(practiceProject(), 'web-1', { status: 'STOPPING' }));
    assert.equal(await vm('web-1', 80), 'unknown');
    assert.throws(() => changeVm(practiceProject(), 'nobody', {}), RangeError);
  });
});

test('firewalls: lower numbers first, a deny before an allow, and only whole ranges of the service', () => {
  const inventory = practiceProject();
  const vm = inventory.instances[0]!;
  const [rule] = inventory.firewalls;
  const admitted = (...rules: readonly Partial<GcpFirewall>[]) =>
    admitsTunnels({ ...inventory, firewalls: rules.map((one) => ({ ...rule!, ...one })) }, vm, 80);
  assert.equal(admitted(), false);
  assert.equal(admitted({}), true);
  assert.equal(admitted({ disabled: true }), false);
  assert.equal(admitted({ sourceRanges: ['0.0.0.0/0'] }), true);
  assert.equal(admitted({ sourceRanges: ['35.235.240.0/24'] }), false);
  assert.equal(admitted({ tcpPorts: [22, [79, 81]] }), true);
  assert.equal(admitted({ tcpPorts: [22] }), false);
  assert.equal(admitted({ network: 'other' }), false);
  assert.equal(admitted({ targetTags: ['db'] }), false);
  assert.equal(admitted({ action: 'deny' }, {}), false);
  assert.equal(admitted({ action: 'deny', priority: 2_000 }, {}), true);
});

import assert from 'node:assert/strict';
import test, { describe } from 'node:test';
import { changeDatabase, changeInstance, failOver, type Inventory } from '../../../src/lab/aws/inventory.ts';
import { LabNetwork } from '../../../src/lab/aws/network.ts';
import { practiceAccount } from '../../../src/lab/aws/practice-account.ts';

const NODE = {
  bastionA: 'i-0a1b2c3d4e5f60001',
  bastionB: 'i-0a1b2c3d4e5f60002',
  web: 'i-0a1b2c3d4e5f60003',
  onprem: 'mi-0a1b2c3d4e5f60001',
} as const;
const DOMAIN = 'c1abcdefghij.ap-northeast-1.rds.amazonaws.com';
/** Ports that stand for what was opened. */
const DATABASE_PORT = { prod: 53_306, orders: 55_432 } as const;

function open(inventory: Inventory = practiceAccount()) {
  const opened: string[] = [];
  const network = new LabNetwork({
    inventory: () => inventory,
    database: async (backend) => ({ host: '127.0.0.1', port: DATABASE_PORT[backend] }),
    service: async (machine, service) => {
      opened.push(`${machine}/${service}`);
      return { host: '127.0.0.1', port: 50_000 };
    },
    ssh: async (machineId) => {
      opened.push(`${machineId}/ssh`);
      return { host: '127.0.0.1', port: 50_000 };
    },
  });
  /** `prod 10.20.20.37`, `web-1/web`, or the kind of refusal. */
  const dial = async (targetId: string, host: string | undefined, port: number) => {
    const found = await network.resolve({ targetId, host, port });
    if (found.kind !== 'address') return found.kind;
    const name = Object.entries(DATABASE_PORT).find(([, each]) => each === found.port)?.[0] ?? opened.at(-1);
    return found.privateIp === undefined ? name : `${name} ${found.privateIp}`;
  };
  return { network, dial };
}

describe('names and databases', () => {
  test('a bastion that is admitted reaches every database of its network', async () => {
    const { dial } = open();
    assert.equal(await dial(NODE.bastionA, `prod.${DOMAIN}`, 3306), 'prod 10.20.20.37');
    assert.equal(await dial(NODE.bastionA, `PROD.${DOMAIN}.`, 3306), 'prod 10.20.20.37');
    assert.equal(await dial(NODE.bastionA, '10.20.20.37', 3306), 'prod 10.20.20.37');
    assert.equal(await dial(NODE.bastionA, `prod-replica.${DOMAIN}`, 3306), 'prod 10.20.21.38');
    assert.equal(await dial(NODE.bastionA, `orders.${DOMAIN}`, 5432), 'orders 10.20.20.39');
    assert.equal(await dial(NODE.bastionA, `prod-proxy.proxy-${DOMAIN}`, 3306), 'prod 10.20.20.50');
    assert.equal(await dial(NODE.bastionA, `prod-proxy-reader.endpoint.proxy-${DOMAIN}`, 3306), 'prod 10.20.20.50');
  });

  test('the names of a cluster follow its writer', async () => {
    const [writer, reader] = [`ledger.cluster-${DOMAIN}`, `ledger.cluster-ro-${DOMAIN}`];
    const before = open();
    assert.equal(await before.dial(NODE.bastionA, writer, 5432), 'orders 10.20.20.40');
    assert.equal(await before.dial(NODE.bastionA, reader, 5432), 'orders 10.20.21.41');
    const after = open(failOver(practiceAccount(), 'ledger', 'ledger-2'));
    assert.equal(await after.dial(NODE.bastionA, writer, 5432), 'orders 10.20.21.41');
    assert.equal(await after.dial(NODE.bastionA, reader, 5432), 'orders 10.20.20.40');
  });

  test('what is not admitted, stopped or in another network is silent', async () => {
    const { dial } = open();
    assert.equal(await dial(NODE.bastionB, `prod.${DOMAIN}`, 3306), 'silent');
    assert.equal(await dial(NODE.web, `prod.${DOMAIN}`, 3306), 'silent');
    assert.equal(await dial(NODE.onprem, `prod.${DOMAIN}`, 3306), 'silent');
    assert.equal(await dial(NODE.bastionA, `archive.${DOMAIN}`, 3306), 'silent');
    assert.equal(await dial(NODE.bastionA, `legacy.${DOMAIN}`, 3306), 'silent');
    assert.equal(await dial(NODE.bastionA, '10.20.20.99', 3306), 'silent');
    assert.equal(await dial(NODE.bastionA, `prod.${DOMAIN}`, 3307), 'silent');
    const backup = open(changeDatabase(practiceAccount(), 'prod', { status: 'backing-up' }));
    assert.equal(await backup.dial(NODE.bastionA, `prod.${DOMAIN}`, 3306), 'prod 10.20.20.37');
  });

  test('an admitted port that nobody listens to is refused', async () => {
    const { dial } = open(changeDatabase(practiceAccount(), 'orders', { port: 5433 }));
    assert.equal(await dial(NODE.bastionA, `orders.${DOMAIN}`, 5432), 'refused');
  });

  test('a name that nobody has is unknown', async () => {
    const { dial } = open();
    for (const name of ['prdo.internal', 'example.com', '', '10.20.20', '::ffff:10.20.20.37']) {
      assert.equal(await dial(NODE.bastionA, name, 3306), 'unknown-name', name);
    }
  });
});

describe('machines', () => {
  test('a node reaches its own services, refuses the other ports, and has no need of groups for it', async () => {
    const { dial } = open();
    assert.equal(await dial(NODE.web, undefined, 80), 'web-1/web');
    assert.equal(await dial(NODE.web, 'localhost', 7), 'web-1/echo');
    assert.equal(await dial(NODE.web, '127.0.0.1', 9), 'web-1/discard');
    assert.equal(await dial(NODE.web, undefined, 23), 'refused');
    assert.equal(await dial(NODE.web, undefined, 22), `${NODE.web}/ssh`);
    assert.equal(await dial(NODE.onprem, undefined, 80), 'onprem-1/web');
    assert.equal(await dial('i-0123456789abcdef0', undefined, 80), 'silent');
  });

  test('other machines by name and address, as their groups allow', async () => {
    const { dial } = open();
    assert.equal(
      await dial(NODE.bastionA, 'ip-10-20-10-21.ap-northeast-1.compute.internal', 80),
      'web-1/web 10.20.10.21',
    );
    assert.equal(await dial(NODE.bastionA, '10.20.10.21', 22), `${NODE.web}/ssh 10.20.10.21`);
    assert.equal(await dial(NODE.bastionA, '10.20.10.21', 7), 'silent');
    assert.equal(await dial(NODE.bastionB, '10.20.10.21', 80), 'silent');
    assert.equal(await dial(NODE.bastionA, 'admin.internal', 80), 'admin.internal/web 10.20.10.80');
    assert.equal(await dial(NODE.bastionA, '10.20.11.41', 80), 'silent');
  });

  test('a server of the caller’s own is put on a node, or behind a name', async () => {
    const { network, dial } = open();
    const remove = network.attach('web-1', 8080, { host: '127.0.0.1', port: DATABASE_PORT.prod });
    assert.equal(await dial(NODE.web, undefined, 8080), 'prod');
    assert.equal(await dial(NODE.bastionB, undefined, 8080), 'refused');
    remove();
    assert.equal(await dial(NODE.web, undefined, 8080), 'refused');
    network.attach('queue.internal', 5672, { host: '127.0.0.1', port: DATABASE_PORT.orders });
    assert.equal(await dial(NODE.bastionB, 'Queue.internal', 5672), 'orders');
    assert.equal(await dial(NODE.bastionB, 'queue.internal', 5673), 'unknown-name');
  });

  test('the blocks of a node’s network', () => {
    const { network } = open();
    assert.deepEqual(network.vpcCidrs(NODE.bastionA), ['10.20.0.0/16']);
    assert.deepEqual(network.vpcCidrs(NODE.onprem), []);
  });
});

describe('groups and network ACLs', () => {
  const account = practiceAccount();
  const prod = (inventory: Inventory) => open(inventory).dial(NODE.bastionA, `prod.${DOMAIN}`, 3306);

  test('a rule by CIDR, a range of ports, and egress that does not cover it', async () => {
    const groups = (change: Partial<Inventory['securityGroups'][number]>, name: string): Inventory => ({
      ...account,
      securityGroups: account.securityGroups.map((one) => (one.name === name ? { ...one, ...change } : one)),
    });
    const byCidr = [{ protocol: 'tcp', ports: [3000, 4000], cidrs: ['10.20.10.0/28'] }] as const;
    assert.equal(await prod(groups({ ingress: byCidr }, 'database')), 'prod 10.20.20.37');
    assert.equal(await prod(groups({ ingress: [{ ...byCidr[0], cidrs: ['10.20.10.12/32'] }] }, 'database')), 'silent');
    assert.equal(await prod(groups({ ingress: [{ ...byCidr[0], ports: [3307, 4000] }] }, 'database')), 'silent');
    assert.equal(await prod(groups({ ingress: [{ ...byCidr[0], protocol: 'udp' }] }, 'database')), 'silent');
    assert.equal(
      await prod(groups({ egress: [{ protocol: 'tcp', ports: [443, 443], cidrs: ['0.0.0.0/0'] }] }, 'bastion')),
      'silent',
    );
    assert.equal(
      await prod(groups({ egress: [{ protocol: '-1', groups: ['sg-0a1b2c3d4e5f6b004'] }] }, 'bastion')),
      'prod 10.20.20.37',
    );
    assert.equal(await prod(changeInstance(account, 'bastion-a', { securityGroupIds: [] })), 'silent');
  });

  test('the first entry of an ACL that fits decides, in both directions', async () => {
    const denied = (egress: boolean, ports: readonly [number, number], number = 50): Inventory => ({
      ...account,
      networkAcls: account.networkAcls.map((acl) => ({
        ...acl,
        entries: [...acl.entries, { number, egress, allow: false, protocol: '6', cidr: '10.20.0.0/16', ports }],
      })),
    });
    assert.equal(await prod(denied(false, [3306, 3306])), 'silent');
    assert.equal(await prod(denied(true, [3306, 3306])), 'silent');
    assert.equal(await prod(denied(true, [32_768, 60_999])), 'silent');
    assert.equal(await prod(denied(false, [3306, 3306], 200)), 'prod 10.20.20.37');
    assert.equal(await prod(denied(false, [5432, 5432])), 'prod 10.20.20.37');
    assert.equal(await prod({ ...account, networkAcls: [] }), 'silent');
    // In one subnet no ACL is passed.
    const near = open({ ...account, networkAcls: [] });
    assert.equal(await near.dial(NODE.bastionA, '10.20.10.21', 80), 'web-1/web 10.20.10.21');
  });
});

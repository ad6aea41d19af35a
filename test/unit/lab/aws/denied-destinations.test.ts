import assert from 'node:assert/strict';
import { test } from 'node:test';
import { denialOf } from '../../../../src/lab/aws/denied-destinations.ts';

const query = (host: string, more: { agentVersion?: string; address?: string; vpcCidrs?: string[] } = {}) =>
  denialOf({ host, agentVersion: '3.3.1142.0', vpcCidrs: [], ...more });

for (const host of ['169.254.169.254', '169.254.169.251', 'fd00:ec2::254', 'FD00:EC2::240']) {
  test(`${host} is denied, in the agent's words`, () => {
    assert.equal(query(host), `Forwarding to IP address ${host} is forbidden.`);
  });
}

test('the first four and the last address of the VPC are denied, by address or by a name that leads there', () => {
  const vpcCidrs = ['10.1.0.0/16'];
  for (const address of ['10.1.0.0', '10.1.0.3', '10.1.255.255']) {
    assert.ok(query(address, { vpcCidrs }));
    assert.equal(query('db.internal', { address, vpcCidrs }), 'Forwarding to IP address db.internal is forbidden.');
  }
  for (const address of ['10.1.0.4', '10.1.255.254', '10.2.0.0', '10.0.255.255']) {
    assert.equal(query(address, { vpcCidrs }), undefined);
  }
});

test('the node itself by way of host is denied since 3.3.4851', () => {
  for (const host of ['localhost', 'db.localhost', '127.0.0.1', '127.8.8.8', '::1']) {
    assert.equal(query(host, { agentVersion: '3.3.4850.9' }), undefined);
    assert.ok(query(host, { agentVersion: '3.3.4851.0' }));
    assert.ok(query(host, { agentVersion: '4.0.0.0' }));
  }
  assert.equal(query('10.0.0.9', { agentVersion: '3.3.4851.0' }), undefined);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readAccountChange } from '../../../src/lab/account-change.ts';
import { practiceAccount } from '../../../src/lab/aws/practice-account.ts';

test('a machine is replaced, a database fails over, a writer changes', () => {
  const id = 'i-0a1b2c3d4e5f6ffff';
  const { vary, expiresKeys } = readAccountChange({
    replace: { 'bastion-a': id },
    databases: { prod: { privateIp: '10.20.21.99', zone: 'elsewhere' } },
    writers: { ledger: 'ledger-2' },
  });
  const account = vary(practiceAccount());
  const bastions = account.instances.filter(({ name }) => name === 'bastion-a');
  assert.deepEqual(
    bastions.map((one) => [one.id === id, one.state, one.tags.role]),
    [
      [false, 'terminated', 'bastion'],
      [true, 'running', 'bastion'],
    ],
  );
  const prod = account.databases.find((one) => one.id === 'prod');
  assert.deepEqual([prod?.privateIp, prod?.zone], ['10.20.21.99', 'elsewhere']);
  assert.equal(account.clusters[0]?.writerId, 'ledger-2');
  assert.equal(expiresKeys, false);
});

test('what is unknown is refused', () => {
  assert.throws(() => readAccountChange({ nonsense: 1 }));
  assert.throws(() => readAccountChange({ machines: { web: { state: 'flying' } } }));
  assert.throws(() => readAccountChange({ replace: { nobody: 'i-0a1b2c3d4e5f6ffff' } }).vary(practiceAccount()));
});

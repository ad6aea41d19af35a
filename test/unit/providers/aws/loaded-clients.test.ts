import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const SCRIPT = join(import.meta.dirname, '../../../support/loaded-clients.ts');

async function loadedFor(way: 'machine' | 'database'): Promise<string[]> {
  const { stdout } = await promisify(execFile)(process.execPath, [SCRIPT, way], { timeout: 60_000 });
  return JSON.parse(stdout) as string[];
}

test('to a machine by its id: neither EC2 nor RDS is loaded', async () => {
  assert.deepEqual(await loadedFor('machine'), ['@aws-sdk/client-ssm']);
});

test('to a database: Systems Manager, EC2 and RDS, and no other', async () => {
  assert.deepEqual(await loadedFor('database'), ['@aws-sdk/client-ec2', '@aws-sdk/client-rds', '@aws-sdk/client-ssm']);
});

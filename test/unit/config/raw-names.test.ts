import assert from 'node:assert/strict';
import { utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { rawNames } from '../../../src/config/raw-names.ts';
import { systemWorld } from '../../../src/runtime/world.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

test('names follow the file, also where those of the last time are remembered', async (t) => {
  const folder = await temporaryDirectory(t);
  const world = systemWorld({ env: { HOME: folder, XDG_CACHE_HOME: join(folder, 'cache') } });
  const file = join(folder, 'cloudtun.yaml');
  const names = async () => (await rawNames(file, 'project', world)).map(({ name }) => name);
  assert.deepEqual(await names(), []);
  await writeFile(file, 'targets: { one: { rds: x } }\n');
  assert.deepEqual(await names(), ['one']);
  assert.deepEqual(await names(), ['one']);
  await writeFile(file, 'targets: { two: { rds: x } }\n');
  await utimes(file, new Date(), new Date(Date.now() + 5_000));
  assert.deepEqual(await names(), ['two']);
  await writeFile(join(folder, 'cache/cloudtun/catalogue-names-project.json'), '{"path": 5');
  assert.deepEqual(await names(), ['two']);
});

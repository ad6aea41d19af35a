import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { ReadyFile } from '../../../src/monitor/ready-file.ts';
import { processIdentity } from '../../../src/runtime/process-identity.ts';
import { manualWorld } from '../../support/manual-world.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const record = { tunnels: [{ name: 'prod', local: ['127.0.0.1:1'], target: 'prod', expiresAt: null }] };

suite('the ready file', () => {
  test('is there while all is ready, for its owner alone', async (t) => {
    const home = await temporaryDirectory(t);
    const { world } = manualWorld({ home });
    const file = new ReadyFile({ ...world, cwd: home }, 'ready.json');
    const path = join(home, 'ready.json');
    assert.equal(existsSync(path), false);
    file.write(record);
    const content = JSON.parse(readFileSync(path, 'utf8'));
    assert.deepEqual([content.cloudtun, content.process.pid, content.tunnels], [1, world.pid, record.tunnels]);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(home), ['ready.json']);
    file.remove();
    file.remove();
    assert.deepEqual(readdirSync(home), []);
  });

  test('one of a dead process is removed at the start, before anything is ready', async (t) => {
    const home = await temporaryDirectory(t);
    const { world } = manualWorld({ home });
    const path = join(home, 'r');
    // Nobody has had this pid since the machine started.
    const dead = { ...processIdentity(), pid: 4_194_303, startTicks: 1 };
    writeFileSync(path, JSON.stringify({ cloudtun: 1, process: dead }));
    new ReadyFile(world, path);
    assert.equal(existsSync(path), false);
    // In a container every start has the same pid.
    writeFileSync(path, JSON.stringify({ cloudtun: 1, process: { ...processIdentity(), startTicks: 1 } }));
    new ReadyFile(world, path);
    assert.equal(existsSync(path), false);
  });

  test('what is not ours stays, and is told', async (t) => {
    const home = await temporaryDirectory(t);
    const { world } = manualWorld({ home });
    const path = join(home, 'precious');
    for (const text of ['precious', '{}', 'null', '{"cloudtun":1}']) {
      writeFileSync(path, text);
      assert.throws(() => new ReadyFile(world, path), { code: 'CT_READY_FILE' });
      assert.equal(readFileSync(path, 'utf8'), text);
    }
    const alive = processIdentity(process.ppid);
    writeFileSync(path, JSON.stringify({ cloudtun: 1, process: alive }));
    assert.throws(() => new ReadyFile(world, path), {
      message: new RegExp(`another cloudtun that runs .pid ${alive.pid}`),
    });
    symlinkSync(path, join(home, 'link'));
    assert.throws(() => new ReadyFile(world, join(home, 'link')), { code: 'CT_READY_FILE' });
    mkdirSync(join(home, 'folder'));
    assert.throws(() => new ReadyFile(world, join(home, 'folder')), { code: 'CT_READY_FILE' });
    assert.throws(() => new ReadyFile(world, join(home, 'no/such/place')), { code: 'CT_READY_FILE' });
  });

  test('one that somebody replaced is theirs', async (t) => {
    const home = await temporaryDirectory(t);
    const { world, logs } = manualWorld({ home });
    const path = join(home, 'r');
    const file = new ReadyFile(world, path);
    file.write(record);
    writeFileSync(path, 'theirs');
    file.remove();
    assert.equal(readFileSync(path, 'utf8'), 'theirs');
    assert.equal(logs.length, 1);
  });
});

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { describe } from 'node:test';
import { SSMClient, StartSessionCommand } from '@aws-sdk/client-ssm';
import type { CloudtunError } from '../../../src/domain/errors.ts';
import type { Lab } from '../../../src/lab/lab.ts';
import { labEnvironment, labStatus, runLab, spawnLab, stopLab } from '../../../src/lab/lab-daemon.ts';
import { withLab } from '../../../src/lab/lab-environment.ts';
import { type LabState, labStateFile } from '../../../src/lab/lab-state.ts';
import { processIdentity } from '../../../src/runtime/process-identity.ts';
import { systemWorld, type World } from '../../../src/runtime/world.ts';
import { clientOptions } from '../../support/aws-lab.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const SCRIPT = join(import.meta.dirname, '../../support/run-lab.ts');
type After = Parameters<typeof temporaryDirectory>[0];

async function ownWorld(test: After): Promise<World> {
  const home = await temporaryDirectory(test);
  return systemWorld({ env: { HOME: home, PATH: process.env.PATH }, cwd: home });
}

/** A lab of this process that is ready; `end` stops it and waits for it. */
async function running(world: World) {
  const stop = new AbortController();
  let ended: Promise<void> = Promise.resolve();
  const [lab, state] = await new Promise<[Lab, LabState]>((resolve, reject) => {
    ended = runLab(world, { signal: stop.signal, onReady: (...ready) => resolve(ready) });
    ended.catch(reject);
  });
  const end = async () => {
    stop.abort();
    await ended;
  };
  return { lab, state, ended, end };
}

const coded = (code: string, message: RegExp) => (error: CloudtunError) => {
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

describe('runLab', () => {
  test('is found by its private state file, and leaves nothing behind', async (t) => {
    const world = await ownWorld(t);
    const { lab, state, end } = await running(world);
    const file = labStateFile(world);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), JSON.parse(JSON.stringify(state)));
    assert.deepEqual(labEnvironment(world), lab.environment);
    for (const name of ['AWS_CONFIG_FILE', 'AWS_SHARED_CREDENTIALS_FILE']) {
      const path = labEnvironment(world).set[name] ?? '';
      assert.ok(path.startsWith(world.paths.state));
      assert.equal(statSync(path).mode & 0o777, 0o600);
    }
    const report = await labStatus(world);
    assert.ok(report.running);
    assert.equal(report.status.pid, process.pid);
    await end();
    assert.equal(existsSync(file), false);
    assert.deepEqual(readdirSync(join(world.paths.state, 'lab')), []);
    assert.deepEqual(await labStatus(world), { running: false });
    assert.throws(() => labEnvironment(world), coded('CT_LAB_NOT_RUNNING', /not running/));
  });

  test('a second one says that one runs already, and touches nothing of the first', async (t) => {
    const world = await ownWorld(t);
    const { state, end } = await running(world);
    const second = runLab(world, { signal: new AbortController().signal });
    await assert.rejects(second, coded('CT_LAB_FAILED', /running already \(pid \d+, http:\/\/127\.0\.0\.1:\d+\)/));
    const report = await labStatus(world);
    assert.ok(report.running && report.state.url === state.url);
    assert.ok(existsSync(labEnvironment(world).set.AWS_CONFIG_FILE ?? ''));
    await end();
  });

  test('stopLab waits until sessions are ended and files are gone', async (t) => {
    const world = await ownWorld(t);
    const { lab, state, ended } = await running(world);
    const ssm = new SSMClient(clientOptions(lab));
    await ssm.send(new StartSessionCommand({ Target: 'i-0a1b2c3d4e5f60001', DocumentName: 'practice-prod' }));
    assert.equal((await stopLab(world))?.controlToken, state.controlToken);
    assert.equal(existsSync(labStateFile(world)), false);
    await ended;
    await assert.rejects(fetch(lab.url));
    assert.equal(await stopLab(world), undefined);
  });

  test('what a killed lab, a torn write or somebody else left behind is removed', async (t) => {
    const world = await ownWorld(t);
    const file = labStateFile(world);
    const { state, end } = await running(world);
    await end();
    const { startTicks = 1, ...identity } = processIdentity();
    const dead = { ...state, process: { ...identity, startTicks: startTicks + 1 } };
    const leftOver = join(world.paths.state, 'lab', String(process.pid));
    for (const text of [JSON.stringify(dead), '{"version":1', '', 'null', '{"version":2}']) {
      mkdirSync(leftOver, { recursive: true });
      writeFileSync(file, text);
      assert.deepEqual(await labStatus(world), { running: false }, text);
      assert.equal(existsSync(file), false);
      if (text === JSON.stringify(dead)) assert.equal(existsSync(leftOver), false);
    }
    writeFileSync(file, JSON.stringify(dead));
    const again = await running(world);
    assert.ok((await labStatus(world)).running);
    await again.end();
  });

  test('a process that is there and does not answer is told apart from none', async (t) => {
    const world = await ownWorld(t);
    const { state, end } = await running(world);
    await end();
    writeFileSync(labStateFile(world), JSON.stringify(state));
    await assert.rejects(labStatus(world), coded('CT_LAB_FAILED', /cannot be reached/));
  });
});

describe('spawnLab', () => {
  const spawn = (world: World, ...commandLine: string[]) => spawnLab(world, { script: SCRIPT, commandLine });

  test('starts a process of its own once, which other processes use and end', async (t) => {
    const world = await ownWorld(t);
    t.after(async () => void (await stopLab(world)));
    const first = await spawn(world);
    assert.equal(first.already, false);
    assert.notEqual(first.state.process.pid, process.pid);
    assert.equal(statSync(join(world.paths.state, 'lab.log')).mode & 0o777, 0o600);
    const second = await spawn(world);
    assert.equal(second.already, true);
    assert.equal(second.state.process.pid, first.state.process.pid);
    const env = withLab({ AWS_PROFILE: 'other', LANG: 'C' }, labEnvironment(world));
    assert.equal(env.AWS_PROFILE, undefined);
    assert.equal(env.LANG, 'C');
    assert.equal(env.AWS_ENDPOINT_URL, first.state.url);
    assert.equal((await stopLab(world))?.process.pid, first.state.process.pid);
    assert.deepEqual(await labStatus(world), { running: false });
  });

  test('tells what a lab said that could not start', async (t) => {
    const world = await ownWorld(t);
    await assert.rejects(spawn(world, 'fail'), (error: CloudtunError) => {
      assert.equal(error.code, 'CT_LAB_FAILED');
      assert.match(error.message, /ended with 6/);
      assert.deepEqual(error.details, [['it said', 'error CT_LAB_FAILED: told to fail']]);
      return true;
    });
  });
});

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { endOrphans } from '../../../src/broker/orphans.ts';
import { type LedgerSession, SessionLedger } from '../../../src/broker/session-ledger.ts';
import { CloudtunError } from '../../../src/domain/errors.ts';
import { type ProcessIdentity, processIdentity, processState } from '../../../src/runtime/process-identity.ts';
import { FakeProvider } from '../../support/fake-provider.ts';
import { manualWorld } from '../../support/manual-world.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const PLACE = { provider: 'aws', profile: 'prod', scope: 'ap-northeast-1' } as const;
const session = (id: string, startedAt = '2026-11-22T08:59:00.000Z'): LedgerSession => ({
  id,
  place: PLACE,
  target: 'orders-prod',
  startedAt,
});
/** A pid that no process has: Linux gives none above 2^22. */
const DEAD_PID = 4_194_305;

async function ledgers(test: Parameters<typeof temporaryDirectory>[0]) {
  const home = await temporaryDirectory(test);
  const { world, clock, logs } = manualWorld({ home });
  const here = processIdentity();
  const directory = join(world.paths.state, 'sessions');
  return {
    world,
    clock,
    logs,
    here,
    directory,
    files: () => (existsSync(directory) ? readdirSync(directory).sort() : []),
    of: (identity: Partial<ProcessIdentity> = {}) => new SessionLedger(world, { ...here, ...identity }),
  };
}

test('a file is there exactly as long as a process has sessions, for its owner alone', async (t) => {
  const { of, files, directory, here } = await ledgers(t);
  const ledger = of();
  ledger.add(session('alice-1'));
  ledger.add(session('alice-2'));
  assert.deepEqual(files(), [`${here.pid}-${here.startTicks ?? 0}.json`]);
  const path = join(directory, files()[0]!);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(
    JSON.parse(readFileSync(path, 'utf8')).sessions.map((entry: LedgerSession) => entry.id),
    ['alice-1', 'alice-2'],
  );
  assert.deepEqual(of().orphans(), []);
  ledger.remove('alice-1');
  ledger.remove('alice-2');
  ledger.remove('alice-2');
  assert.deepEqual(files(), []);
});

test('two ledgers of one process do not forget for each other', async (t) => {
  const { of, files } = await ledgers(t);
  const [one, two] = [of(), of()];
  one.add(session('alice-1'));
  two.add(session('alice-2'));
  one.add(session('alice-3'));
  one.remove('alice-1');
  one.remove('alice-3');
  assert.equal(files().length, 1);
  two.remove('alice-2');
  assert.deepEqual(files(), []);
});

test('sessions of a dead process are found, those of a live one are not', async (t) => {
  const { of, here } = await ledgers(t);
  of({ pid: DEAD_PID, startTicks: 5 }).add(session('alice-1'));
  of().add(session('alice-2'));
  const orphans = of().orphans();
  assert.deepEqual(
    orphans.map(({ id, pid }) => ({ id, pid })),
    [{ id: 'alice-1', pid: DEAD_PID }],
  );
  assert.notEqual(here.pid, DEAD_PID);
});

test('a pid that is in use again by another process is dead', {
  skip: process.platform !== 'linux' && 'only Linux tells',
}, async (t) => {
  const { of, here } = await ledgers(t);
  of({ startTicks: here.startTicks! - 1 }).add(session('alice-1'));
  assert.deepEqual(
    of()
      .orphans()
      .map(({ id }) => id),
    ['alice-1'],
  );
});

test('after a reboot all are dead; on another machine or in another container nobody knows', () => {
  const here: ProcessIdentity = { ...processIdentity(), bootId: 'boot-2', pidNamespace: 'pid:[1]' };
  assert.equal(processState(here, here), 'alive');
  assert.equal(processState({ ...here, bootId: 'boot-1' }, here), 'dead');
  assert.equal(processState({ ...here, pidNamespace: 'pid:[2]' }, here), 'unknown');
  assert.equal(processState({ ...here, host: 'other' }, here), 'unknown');
});

test('torn, foreign and outdated files are removed, newer ones and those of unseen processes are left', async (t) => {
  const { of, files, directory, clock } = await ledgers(t);
  mkdirSync(directory, { recursive: true });
  const write = (name: string, text: string) => writeFileSync(join(directory, name), text);
  write('1-1.json', '{"version":1,"process":{"pid":');
  write('1-2.json', '');
  write('1-3.json', '{"version":1,"process":{"pid":-4,"host":"x"},"sessions":[]}');
  write('1-4.json', '[]');
  write('1-5.json', '{"version":2,"sessions":"in a form to come"}');
  write('notes.txt', 'not ours');
  write('1-6.json.new', 'left behind');
  utimesSync(join(directory, '1-6.json.new'), new Date(0), new Date(0));
  of({ host: 'elsewhere', startTicks: 7 }).add(session('alice-1'));
  of({ pid: DEAD_PID, startTicks: 8 }).add(session('alice-2', '2026-11-20T00:00:00.000Z'));
  assert.deepEqual(of().orphans(), []);
  const left = files();
  assert.deepEqual(left, ['1-5.json', `${processIdentity().pid}-7.json`, 'notes.txt']);
  // Touched by the real clock; the test's own clock stands in November 2026.
  for (const name of left) utimesSync(join(directory, name), new Date(clock.wall()), new Date(clock.wall()));
  clock.tick(31 * 86_400_000);
  of().orphans();
  assert.deepEqual(files(), ['1-5.json', 'notes.txt']);
});

test('entries that are not sessions are passed over, the others of the file count', async (t) => {
  const { of, directory, here } = await ledgers(t);
  mkdirSync(directory, { recursive: true });
  const entries = [session('alice-1'), { id: 7 }, null, { ...session('x'), place: { provider: 'mars', scope: 'r' } }];
  const process = { ...here, pid: DEAD_PID };
  writeFileSync(join(directory, `${DEAD_PID}-1.json`), JSON.stringify({ version: 1, process, sessions: entries }));
  assert.deepEqual(
    of()
      .orphans()
      .map(({ id }) => id),
    ['alice-1'],
  );
});

test('a directory that cannot be written is one warning and no error', async (t) => {
  const { of, logs, world } = await ledgers(t);
  mkdirSync(world.paths.state, { recursive: true });
  writeFileSync(join(world.paths.state, 'sessions'), 'in the way');
  const ledger = of();
  ledger.add(session('alice-1'));
  ledger.add(session('alice-2'));
  ledger.remove('alice-1');
  assert.equal(logs.filter((line) => line.level === 'warn').length, 1);
  assert.deepEqual(of().orphans(), []);
});

test('orphans are ended where this run looks, named where it does not, kept where it failed, and in the journal', async (t) => {
  const { of, files } = await ledgers(t);
  const dead = of({ pid: DEAD_PID, startTicks: 1 });
  dead.add(session('alice-1', '2026-11-22T08:00:00.000Z'));
  dead.add({ ...session('alice-2', '2026-11-22T08:01:00.000Z'), place: { ...PLACE, scope: 'eu-west-1' } });
  dead.add({ ...session('alice-3', '2026-11-22T08:02:00.000Z'), place: { ...PLACE, endpoint: 'https://vpce-1' } });
  dead.add({ ...session('alice-4', '2026-11-22T08:03:00.000Z'), place: { ...PLACE, endpoint: 'http://127.0.0.1:1' } });
  assert.equal(of().orphans().length, 4);
  const ledger = of();
  const provider = new FakeProvider();
  const records: unknown[] = [];
  const journal = { record: (event: unknown) => void records.push(event), [Symbol.asyncDispose]: async () => {} };
  const context = { ledger, providers: [provider], journal };
  const signal = new AbortController().signal;

  provider.failures.set('endSession', new CloudtunError('CT_NETWORK', 'no way out'));
  const failed = await endOrphans(context, signal);
  assert.deepEqual(
    failed.map(({ outcome }) => outcome),
    ['failed', 'elsewhere', 'elsewhere'],
  );
  assert.equal(ledger.orphans().length, 3);

  provider.failures.clear();
  const reports = await endOrphans(context, signal);
  assert.deepEqual(
    reports.map(({ outcome, session: { id } }) => `${id} ${outcome}`),
    ['alice-1 ended', 'alice-2 elsewhere', 'alice-3 elsewhere'],
  );
  assert.deepEqual(provider.calls, ['endSession alice-1', 'endSession alice-1']);
  assert.deepEqual(records, [
    {
      event: 'session',
      change: 'ended',
      session: 'alice-1',
      why: 'its process was killed',
      target: 'orders-prod',
      pid: DEAD_PID,
    },
  ]);
  assert.equal(ledger.orphans().length, 2);
  assert.equal(files().length, 1);
});

import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Journal } from '../../../src/audit/journal.ts';
import { CloudtunError } from '../../../src/domain/errors.ts';
import { Secret } from '../../../src/domain/secret.ts';
import { manualWorld } from '../../support/manual-world.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const lines = (path: string) =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

const isJournalError = (pattern: RegExp) => (error: unknown) => {
  assert.ok(error instanceof CloudtunError);
  assert.equal(error.code, 'CT_JOURNAL');
  assert.equal(error.exitCode, 7);
  assert.match(error.message, pattern);
  assert.ok(error.hints.length > 0);
  return true;
};

test('one line an event, the time in front, in a file only its owner reads; nothing is made before the first record', async (t) => {
  const home = await temporaryDirectory(t);
  const { world, clock } = manualWorld({ home });
  await using journal = new Journal(world);
  assert.equal(journal.path, join(home, '.local/state/cloudtun/journal.jsonl'));
  assert.equal(existsSync(journal.path), false);
  journal.record({ event: 'open', target: 'orders-prod', left: undefined });
  clock.tick(1_500);
  journal.record({ event: 'end', bytesUp: 12 });
  assert.equal(
    readFileSync(journal.path, 'utf8'),
    '{"time":"2026-11-22T09:00:00.000Z","event":"open","target":"orders-prod"}\n' +
      '{"time":"2026-11-22T09:00:01.500Z","event":"end","bytesUp":12}\n',
  );
  assert.equal(statSync(journal.path).mode & 0o777, 0o600);
  assert.equal(statSync(join(home, '.local/state/cloudtun')).mode & 0o777, 0o700);
});

test('two processes append to the same file, and a default file that others could read is closed to them', async (t) => {
  const home = await temporaryDirectory(t);
  const { world } = manualWorld({ home });
  await using one = new Journal(world);
  one.record({ event: 'open' });
  chmodSync(one.path, 0o644);
  await using two = new Journal(world);
  two.record({ event: 'open' });
  one.record({ event: 'end' });
  assert.deepEqual(
    lines(one.path).map((line) => line.event),
    ['open', 'open', 'end'],
  );
  assert.equal(statSync(one.path).mode & 0o777, 0o600);
});

test('CLOUDTUN_JOURNAL names the file, whose mode is the business of who made it', async (t) => {
  const home = await temporaryDirectory(t);
  const path = join(home, 'team.jsonl');
  writeFileSync(path, '', { mode: 0o640 });
  await using journal = new Journal(manualWorld({ home, env: { CLOUDTUN_JOURNAL: path } }).world);
  journal.record({ event: 'open' });
  assert.equal(lines(path).length, 1);
  assert.equal(statSync(path).mode & 0o777, 0o640);
  await using unset = new Journal(manualWorld({ home, env: { CLOUDTUN_JOURNAL: '' } }).world);
  assert.match(unset.path, /state\/cloudtun\/journal\.jsonl$/);
});

test('after half a line that a killed process left, the next one starts on its own', async (t) => {
  const home = await temporaryDirectory(t);
  const path = join(home, 'journal');
  writeFileSync(path, '{"time":"2026-11-22T08:00:00.000Z","event":"op');
  await using journal = new Journal(manualWorld({ home, env: { CLOUDTUN_JOURNAL: path } }).world);
  journal.record({ event: 'open' });
  journal.record({ event: 'end' });
  const [torn, ...whole] = readFileSync(path, 'utf8').trimEnd().split('\n');
  assert.match(torn!, /"op$/);
  assert.deepEqual(
    whole.map((line) => JSON.parse(line).event),
    ['open', 'end'],
  );
});

test('a full disk is CT_JOURNAL', { skip: !existsSync('/dev/full') && 'the system has no /dev/full' }, async () => {
  await using journal = new Journal(manualWorld({ env: { CLOUDTUN_JOURNAL: '/dev/full' } }).world);
  assert.throws(
    () => journal.record({ event: 'open' }),
    isJournalError(/\/dev\/full cannot be written: no space is left/),
  );
});

test('a path that cannot be a file is CT_JOURNAL, by its reason', async (t) => {
  const home = await temporaryDirectory(t);
  mkdirSync(join(home, 'directory'));
  const at = (path: string) => new Journal(manualWorld({ home, env: { CLOUDTUN_JOURNAL: path } }).world);
  assert.throws(() => at(join(home, 'directory')).record({ event: 'open' }), isJournalError(/it is a directory/));
  assert.throws(() => at(join(home, 'no/such')).record({ event: 'open' }), isJournalError(/directory does not exist/));
  assert.throws(() => at('/proc/version').record({ event: 'open' }), isJournalError(/cannot be written/));
});

test('a journal that is closed takes nothing, and closing twice is one closing', async (t) => {
  const home = await temporaryDirectory(t);
  const journal = new Journal(manualWorld({ home }).world);
  journal.record({ event: 'open' });
  await journal[Symbol.asyncDispose]();
  await journal[Symbol.asyncDispose]();
  assert.throws(() => journal.record({ event: 'end' }), isJournalError(/it is closed/));
});

test('a value is one line whatever it holds, is cut when it is long, and a secret stays one', async (t) => {
  const home = await temporaryDirectory(t);
  await using journal = new Journal(manualWorld({ home }).world);
  const secret = new Secret('hunter2') as unknown as string;
  journal.record({ event: 'open', reason: 'a\nb\u2028"c', asked: 'x'.repeat(5_000), secret });
  const [line] = lines(journal.path);
  assert.equal(line.reason, 'a\nb\u2028"c');
  assert.equal(line.asked.length, 1_025);
  assert.equal(line.secret, '[redacted]');
});

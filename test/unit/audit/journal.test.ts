import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Journal } from '../../../src/audit/journal.ts';
import { readJournal } from '../../../src/audit/read-journal.ts';
import { CloudtunError } from '../../../src/domain/errors.ts';
import { Secret } from '../../../src/domain/secret.ts';
import { manualWorld } from '../../support/manual-world.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const lines = (path: string): Record<string, unknown>[] => readJournal(path).lines.map(({ event }) => event);

const isJournalError = (pattern: RegExp) => (error: unknown) => {
  assert.ok(error instanceof CloudtunError);
  assert.equal(error.code, 'CT_JOURNAL');
  assert.equal(error.exitCode, 7);
  assert.match(error.message, pattern);
  assert.ok(error.hints.length > 0);
  return true;
};

const segments = (path: string) => readdirSync(path).filter((name) => name.endsWith('.jsonl'));

test('one line an event, the time in front, in a file only its owner reads; nothing is made before the first record', async (t) => {
  const home = await temporaryDirectory(t);
  const { world, clock } = manualWorld({ home });
  await using journal = new Journal(world);
  assert.equal(journal.path, join(home, '.local/state/cloudtun/journal'));
  assert.equal(existsSync(journal.path), false);
  journal.record({ event: 'open', target: 'orders-prod', left: undefined });
  clock.tick(1_500);
  journal.record({ event: 'end', bytesUp: 12 });
  const [name, ...others] = segments(journal.path);
  assert.deepEqual(others, []);
  const path = join(journal.path, name!);
  const [first, open, end] = readFileSync(path, 'utf8').trimEnd().split('\n');
  assert.match(
    first!,
    /^{"time":"2026-11-22T09:00:00\.000Z","event":"segment-began","journal":"[0-9a-f-]{36}","host":".+","seq":0,"hash":"[0-9a-f]{64}"}$/,
  );
  assert.match(
    open!,
    /^{"time":"2026-11-22T09:00:00\.000Z","event":"open","target":"orders-prod","segment":".+","seq":1,"hash":"[0-9a-f]{64}"}$/,
  );
  assert.match(
    end!,
    /^{"time":"2026-11-22T09:00:01\.500Z","event":"end","bytesUp":12,"segment":".+","seq":2,"hash":"[0-9a-f]{64}"}$/,
  );
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(journal.path).mode & 0o777, 0o700);
});

test('each line has the SHA-256 over the hash before it and its own text, as anybody can work it out', async (t) => {
  const home = await temporaryDirectory(t);
  const journal = new Journal(manualWorld({ home }).world);
  for (const target of ['a', 'b', 'ü']) journal.record({ event: 'open', target });
  await journal[Symbol.asyncDispose]();
  const [name] = segments(journal.path);
  let before = 'cloudtun-journal-1';
  const texts = readFileSync(join(journal.path, name!), 'utf8').trimEnd().split('\n');
  assert.equal(texts.length, 5);
  for (const text of texts) {
    const [body, hash] = text.slice(0, -2).split(',"hash":"');
    assert.equal(createHash('sha256').update(`${before}\n${body}`).digest('hex'), hash);
    before = hash!;
  }
});

test('each writer has a segment of its own, which names the one before and how far that was', async (t) => {
  const home = await temporaryDirectory(t);
  const { world, clock } = manualWorld({ home });
  await using one = new Journal(world);
  one.record({ event: 'open' });
  clock.tick(10);
  await using two = new Journal(world);
  two.record({ event: 'open' });
  one.record({ event: 'end' });
  assert.equal(segments(one.path).length, 2);
  const all = lines(one.path);
  const began = all.filter(({ event }) => event === 'segment-began');
  assert.equal(began.length, 2);
  assert.equal(began[0]!.previous, undefined);
  const opened = all.find(({ event }) => event === 'open');
  assert.deepEqual(
    [began[1]!.previous, began[1]!.previousLines, began[1]!.previousHash, began[1]!.journal],
    [began[0]!.segment, 2, opened!.hash, began[0]!.journal],
  );
});

test('a segment that has grown large or old is ended, and the next one names it', async (t) => {
  const home = await temporaryDirectory(t);
  const { world, clock } = manualWorld({ home });
  const journal = new Journal(world, { limit: { byteCount: 1_500, age: 3_600_000 } });
  for (let count = 0; count < 10; count += 1) {
    clock.tick(5);
    journal.record({ event: 'client', count });
  }
  clock.tick(3_600_000);
  journal.record({ event: 'end' });
  await journal[Symbol.asyncDispose]();
  const all = lines(journal.path);
  const began = all.filter(({ event }) => event === 'segment-began');
  assert.ok(began.length > 2, `${began.length} segments`);
  assert.equal(all.filter(({ event }) => event === 'segment-ended').length, began.length);
  for (const [index, first] of began.entries()) {
    if (index > 0) assert.equal(first.previous, began[index - 1]!.segment);
  }
  assert.deepEqual(
    all.filter(({ event }) => event === 'client').map(({ count }) => count),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  );
});

test('the one file of an older cloudtun becomes the first, unchained segment', async (t) => {
  const home = await temporaryDirectory(t);
  const state = join(home, '.local/state/cloudtun');
  mkdirSync(state, { recursive: true });
  writeFileSync(join(state, 'journal.jsonl'), '{"time":"2026-11-22T08:00:00.000Z","event":"open","target":"old"}\n');
  await using journal = new Journal(manualWorld({ home }).world);
  journal.record({ event: 'open', target: 'new' });
  assert.equal(existsSync(join(state, 'journal.jsonl')), false);
  assert.deepEqual(
    lines(journal.path).map(({ event, target }) => [event, target]),
    [
      ['open', 'old'],
      ['segment-began', undefined],
      ['open', 'new'],
    ],
  );
});

test('a policy of warnings lets what cannot be recorded be done, and says so once', async (t) => {
  const home = await temporaryDirectory(t);
  writeFileSync(join(home, 'file'), '');
  const { world, logs } = manualWorld({ home, env: { CLOUDTUN_JOURNAL: join(home, 'file/none') } });
  await using journal = new Journal(world, { isRequired: false });
  journal.record({ event: 'open' });
  journal.record({ event: 'end' });
  assert.deepEqual(
    logs.filter(({ level }) => level === 'warn').map(({ message }) => message),
    [
      `the journal ${home}/file/none cannot be written: a part of its path is not a directory; the policy asks for no more than this warning`,
    ],
  );
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
  assert.match(unset.path, /state\/cloudtun\/journal$/);
  const directory = join(home, 'kept/');
  await using segmented = new Journal(manualWorld({ home, env: { CLOUDTUN_JOURNAL: directory } }).world);
  segmented.record({ event: 'open' });
  assert.equal(segments(directory).length, 1);
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
  writeFileSync(join(home, 'file'), '');
  const at = (path: string) => new Journal(manualWorld({ home, env: { CLOUDTUN_JOURNAL: path } }).world);
  assert.throws(
    () => at(join(home, 'file/')).record({ event: 'open' }),
    isJournalError(/where a directory should be|not a directory/),
  );
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
  const line = lines(journal.path)[1]!;
  assert.equal(line.reason, 'a\nb\u2028"c');
  assert.equal(String(line.asked).length, 1_025);
  assert.equal(line.secret, '[redacted]');
});

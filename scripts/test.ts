/**
 * Runs the tests: every `*.test.ts` under test/ in a process of its own, a few at a time, and ends with `N passed, N failed`.
 *
 *     npm test                        everything but bench and interop
 *     npm test -- unit smux           files whose path contains one of the words
 *
 * Why not `node --test` alone: it exits 0 when a pattern matches nothing, waits for ever on a file that leaves something open, and
 * lets a skipped test pass in CI. Here each of these is a failure that says its name.
 */
import { spawn } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import type { TestLine } from './test-events.ts';

/** Fewer tests than this in a whole run means that some were lost, not that all is well. Raise it when tests are added. */
const MINIMUM_TESTS = 2_300;
/** A file that takes longer than this hangs. The slow reader of test/fault/ is the longest by far. */
const FILE_LIMIT_MS = 180_000;
const AT_ONCE = Math.min(availableParallelism(), 4);
/** Files that measure time or push millions of messages run one by one, after all others. */
const ALONE = /^test\/fault\//;

const root = join(import.meta.dirname, '..');
const isCi = process.env.CI === 'true';

interface FileResult {
  readonly file: string;
  readonly lines: readonly TestLine[];
  readonly output: string;
  /** Why the file as a whole is not well, whatever its tests say. */
  readonly trouble: string | undefined;
  readonly durationMs: number;
}

function findFiles(words: readonly string[]): string[] {
  const all = globSync('test/**/*.test.ts', { cwd: root }).filter((file) => !/^test\/(bench|interop)\//.test(file));
  return all.filter((file) => words.length === 0 || words.some((word) => file.includes(word))).sort();
}

const running = new Set<number>();

/** Ends a test file and what it started; the group is gone already when it ended by itself. */
function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {}
}

async function runFile(file: string, scratch: string): Promise<FileResult> {
  const started = performance.now();
  const eventFile = join(scratch, `${file.replaceAll('/', '+')}.jsonl`);
  const reporter = join(import.meta.dirname, 'test-events.ts');
  const child = spawn(
    process.execPath,
    [`--test-reporter=${reporter}`, `--test-reporter-destination=${eventFile}`, file],
    { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  );
  const pid = child.pid!;
  running.add(pid);
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  let hung = false;
  const limit = setTimeout(() => {
    hung = true;
    killGroup(pid);
  }, FILE_LIMIT_MS);
  // What the file started and left behind may hold its output open: end that first, then the output ends.
  child.on('exit', () => killGroup(pid));
  const ended = await new Promise<string>((resolve) => {
    child.on('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  clearTimeout(limit);
  running.delete(pid);
  const lines = readLines(eventFile);
  return {
    file,
    lines,
    output: Buffer.concat(chunks).toString(),
    trouble: troubleOf(lines, ended, hung),
    durationMs: performance.now() - started,
  };
}

function readLines(eventFile: string): TestLine[] {
  let text = '';
  try {
    text = readFileSync(eventFile, 'utf8');
  } catch {
    return [];
  }
  // A killed file may leave half a line.
  return text.split('\n').flatMap((line) => (line.endsWith('}') ? [JSON.parse(line) as TestLine] : []));
}

function troubleOf(lines: readonly TestLine[], ended: string, hung: boolean): string | undefined {
  if (hung) return `did not end within ${FILE_LIMIT_MS / 1000} s: something is left open, or waits for ever`;
  if (lines.every((line) => line.kind === 'note')) return `reported no test (${ended})`;
  const failed = lines.some((line) => line.kind === 'failed');
  return ended !== 'exit code 0' && !failed ? `no test failed, but the file ended with ${ended}` : undefined;
}

const say = (text: string) => process.stdout.write(`${text}\n`);
const indent = (text: string) => text.trimEnd().replaceAll(/^/gm, '    ');
const count = (lines: readonly TestLine[], kind: TestLine['kind']) => lines.filter((line) => line.kind === kind).length;

function report(result: FileResult): void {
  const { lines } = result;
  const figures = (['passed', 'failed', 'skipped'] as const)
    .map((kind) => [kind, count(lines, kind)] as const)
    .filter(([kind, number]) => number > 0 || kind === 'passed')
    .map(([kind, number]) => `${number} ${kind}`);
  const isWell = result.trouble === undefined && count(lines, 'failed') === 0;
  say(
    `${isWell ? 'ok    ' : 'FAILED'} ${relative('test', result.file).padEnd(58)} ${figures.join(', ')}  ${(result.durationMs / 1000).toFixed(1)}s`,
  );
  for (const line of lines) {
    if (line.kind === 'note') say(`       ${line.text}`);
    if (line.kind === 'skipped') say(`       skipped: ${line.name} (${line.text})`);
    if (line.kind === 'failed' && !line.bySubtest) say(`  FAILED ${line.name}\n${indent(line.text ?? '')}`);
  }
  if (result.trouble !== undefined) say(`  FAILED ${result.file}: ${result.trouble}`);
  if (!isWell && result.output.trim() !== '') say(`  what it printed:\n${indent(result.output.slice(-8_000))}`);
}

async function runAll(files: readonly string[]): Promise<FileResult[]> {
  mkdirSync(join(root, 'tmp'), { recursive: true });
  const scratch = mkdtempSync(join(root, 'tmp', 'test-'));
  const results: FileResult[] = [];
  const worker = async (waiting: string[]) => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const result = await runFile(file, scratch);
      results.push(result);
      report(result);
    }
  };
  try {
    const together = files.filter((file) => !ALONE.test(file));
    await Promise.all(Array.from({ length: AT_ONCE }, () => worker(together)));
    await worker(files.filter((file) => ALONE.test(file)));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return results;
}

/** What is wrong with a run in which every test that ran passed. */
function troubleOfRun(lines: readonly TestLine[], isWhole: boolean): string[] {
  const ran = count(lines, 'passed') + count(lines, 'failed');
  const found: string[] = [];
  if (isWhole && ran < MINIMUM_TESTS) found.push(`only ${ran} tests ran; there must be at least ${MINIMUM_TESTS}`);
  if (isCi && count(lines, 'skipped') > 0) found.push('tests were skipped in CI; names and reasons stand above');
  return found;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    for (const pid of running) killGroup(pid);
    process.exit(signal === 'SIGINT' ? 130 : 143);
  });
}

const words = process.argv.slice(2);
const files = findFiles(words);
const results = await runAll(files);
const lines = results.flatMap((result) => result.lines);
const troubles = [
  ...(files.length === 0 ? [`no test file matches ${words.join(' ')}`] : []),
  ...troubleOfRun(lines, words.length === 0),
];
// Said again at the end, where a reader of a long log, or of its last page, looks first.
for (const result of results) {
  for (const line of result.lines) {
    if (line.kind === 'failed' && !line.bySubtest) say(`FAILED ${relative('test', result.file)}: ${line.name}`);
  }
  if (result.trouble !== undefined) say(`FAILED ${relative('test', result.file)}: ${result.trouble}`);
}
for (const trouble of troubles) say(`FAILED ${trouble}`);
const failed =
  count(lines, 'failed') + results.filter((result) => result.trouble !== undefined).length + troubles.length;
const skipped = count(lines, 'skipped');
say(`${count(lines, 'passed')} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exitCode = failed > 0 ? 1 : 0;

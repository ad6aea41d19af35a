import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, matchesGlob, normalize } from 'node:path';
import test, { describe } from 'node:test';
import { codeOf, importsOf, packageOf } from '../../scripts/imports.ts';
import { IMPORT_EXCEPTIONS, IMPORT_TABLE, type ImportRow } from '../support/import-table.ts';

const root = join(import.meta.dirname, '../..');
const files = globSync('**/*.ts', { cwd: join(root, 'src') }).sort();
const sources = new Map(files.map((file) => [file, readFileSync(join(root, 'src', file), 'utf8')]));

/** `providers/<p>/sdk` as a glob, with `<p>` replaced by the folder name that the file has there. */
function rowFor(file: string): { row: ImportRow; patterns: string[] } {
  const folder = dirname(file);
  for (const row of IMPORT_TABLE) {
    const glob = row.folder.replaceAll('<p>', '*');
    const fits = matchesGlob(folder, glob) || (glob !== '.' && matchesGlob(folder, `${glob}/**`));
    if (!fits) continue;
    const own = row.folder.split('/').reduce((depth, part, index) => (part === '<p>' ? index : depth), -1);
    const p = own === -1 ? '' : folder.split('/')[own]!;
    return { row, patterns: [`${folder}/**`, ...row.may.map((pattern) => pattern.replaceAll('<p>', p))] };
  }
  throw new Error(`no row of test/support/import-table.ts covers src/${file}`);
}

const isAllowed = (path: string, patterns: readonly string[]) => patterns.some((pattern) => matchesGlob(path, pattern));

function brokenRows(file: string, source: string): string[] {
  const { row, patterns } = rowFor(file);
  const exception = IMPORT_EXCEPTIONS.find((each) => each.file === file);
  const broken: string[] = [];
  for (const { specifier, isTypeOnly, line } of importsOf(source)) {
    const packageName = packageOf(specifier);
    const allowed = specifier.startsWith('.')
      ? isAllowed(normalize(join(dirname(file), specifier)), [...patterns, ...(exception?.may ?? [])])
      : packageName === undefined
        ? isTypeOnly || row.node === undefined || row.node.includes(specifier)
        : row.packages?.includes(packageName);
    if (!allowed) {
      broken.push(
        `src/${file}:${line} imports ${specifier}\n    row: ${row.folder} may import ${[...row.may, ...(row.packages ?? [])].join(', ') || 'nothing'}\n    why: ${row.why}`,
      );
    }
  }
  return broken;
}

const none = (found: readonly string[]) => assert.ok(found.length === 0, found.join('\n'));

/** Every match of a pattern in code (not in comments or strings), as `file:line`. */
function places(pattern: RegExp, isExempt: (file: string) => boolean): string[] {
  return [...sources].flatMap(([file, source]) => {
    if (isExempt(file)) return [];
    const code = codeOf(source);
    return [...code.matchAll(pattern)].map(
      (match) => `src/${file}:${code.slice(0, match.index).split('\n').length} ${match[0].trim()}`,
    );
  });
}

describe('the import table', () => {
  test('every import is in the row of its folder', () => {
    const broken = [...sources].flatMap(([file, source]) => brokenRows(file, source));
    none(broken);
  });

  test('a forbidden import is found, and the row is quoted', () => {
    const [found, ...rest] = brokenRows('forward/probe.ts', `import { X } from '../transport/ws/message-pump.ts';`);
    assert.equal(rest.length, 0);
    assert.match(found ?? '', /src\/forward\/probe\.ts:1 .*\n {4}row: forward may import .*\n {4}why: .*no websocket/);
    assert.equal(brokenRows('broker/a.ts', `const x = await import('@aws-sdk/client-ssm');`).length, 1);
    assert.equal(brokenRows('transport/ssm/core/a.ts', `import { connect } from 'node:net';`).length, 1);
    assert.equal(brokenRows('transport/ssm/core/a.ts', `import type { Socket } from 'node:net';`).length, 0);
    assert.equal(brokenRows('providers/aws/a.ts', `import { Y } from '../gcp/b.ts';`).length, 1);
  });

  test('what the build bundles holds re-exports and nothing else', () => {
    const modules = files.filter((file) => /^providers\/[^/]+\/sdk\//.test(file));
    assert.ok(modules.length > 0);
    none(
      modules.filter(
        (file) =>
          codeOf(sources.get(file)!)
            .replaceAll(/export\s(?:type\s)?\{[^}]*\} from '\s*';/g, '')
            .trim() !== '',
      ),
    );
  });

  test('no exception is left over', () => {
    const leftOver = IMPORT_EXCEPTIONS.filter(({ file }) => !sources.has(file)).map(({ file }) => file);
    none(leftOver);
  });
});

/** Packages that are slow or large to load: nothing may load them before it is known that they are needed. */
const HEAVY =
  /^(@aws-sdk|@smithy|@electric-sql|@inquirer|mysql2|ssh2|ws|cli-table3|yaml|zod|google-auth-library|ini|.*-proxy-agent)(\/|$)/;

/** Static imports of a file and of what it imports, types left out: `path -> … -> heavy package`. */
function heavyPaths(file: string, path: readonly string[], seen: Set<string>): string[] {
  if (seen.has(file)) return [];
  seen.add(file);
  return importsOf(sources.get(file) ?? '')
    .filter(({ isTypeOnly, isDynamic }) => !isTypeOnly && !isDynamic)
    .flatMap(({ specifier }) => {
      if (HEAVY.test(specifier)) return [[...path, file, specifier].join(' -> ')];
      if (!specifier.startsWith('.')) return [];
      return heavyPaths(normalize(join(dirname(file), specifier)), [...path, file], seen);
    });
}

describe('loading', () => {
  for (const file of files.filter((each) => /^(commands\/|cli\/main|fast\/main|compose)/.test(each))) {
    test(`${file} loads nothing heavy before it is needed`, () => {
      none(heavyPaths(file, [], new Set()));
    });
  }

  test('no module imports itself in a circle', () => {
    const circles: string[] = [];
    const done = new Set<string>();
    const visit = (file: string, path: readonly string[]): void => {
      if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' -> '));
      if (done.has(file) || path.includes(file)) return;
      for (const { specifier, isTypeOnly, isDynamic } of importsOf(sources.get(file) ?? '')) {
        if (isTypeOnly || isDynamic || !specifier.startsWith('.')) continue;
        visit(normalize(join(dirname(file), specifier)), [...path, file]);
      }
      done.add(file);
    };
    for (const file of files) visit(file, []);
    none(circles);
  });
});

describe('no ambient world', () => {
  const mayTouchTheWorld = (file: string) => /^(runtime|cli)\/|^fast\/(main|complete)\.ts$/.test(file);
  const rules: readonly (readonly [name: string, pattern: RegExp])[] = [
    // `new Date(value)` and Date.UTC only convert; it is reading the clock that is forbidden.
    ['the clock', /\bDate\.now\b|\bnew Date\(\s*\)|(?<![.\w]|new )Date\(|\bperformance\.now\b/g],
    ['timers', /(?<![.\w])set(?:Timeout|Interval|Immediate)\b|\bAbortSignal\.timeout\b/g],
    ['the process', /(?<![.\w])process\s*[.[]/g],
    // A parameter may be called randomBytes; importing it is what the next test finds.
    ['randomness', /\bMath\.random\b|\bcrypto\.(?:random\w+|getRandomValues)\b/g],
    ['the console', /(?<![.\w])console\s*\./g],
  ];
  for (const [name, pattern] of rules) {
    test(`${name} is touched only in runtime/, cli/ and bin/`, () => {
      none(places(pattern, mayTouchTheWorld));
    });
  }

  test('nor is randomness imported', () => {
    const pattern = /import\s*(?:\*|\{[^}]*\brandom\w+[^}]*\})[^;]*node:crypto/;
    none(files.filter((file) => !mayTouchTheWorld(file) && pattern.test(codeOf(sources.get(file)!, true))));
  });

  test('nor are processes, timers or workers', () => {
    const found = files
      .filter((file) => !mayTouchTheWorld(file))
      .flatMap((file) => importsOf(sources.get(file)!).map(({ specifier, line }) => ({ file, specifier, line })))
      .filter(({ specifier }) =>
        /^node:(process|timers|perf_hooks|child_process|worker_threads|cluster)/.test(specifier),
      )
      .map(({ file, specifier, line }) => `src/${file}:${line} ${specifier}`);
    none(found);
  });
});

describe('the type checker is on', () => {
  test('no `any`', () => {
    assert.deepEqual(
      places(/(?::|\bas|<|\||&|=>)\s*any\b(?!\s*[(:=])/g, () => false),
      [],
    );
  });

  test('no @ts-ignore', () => {
    assert.deepEqual(
      files.filter((file) => /@ts-(ignore|nocheck|expect-error)/.test(sources.get(file)!)),
      [],
    );
  });
});

describe('size', () => {
  /** Longer than 400 lines, and why it is one thing. */
  const LONG: Readonly<Record<string, string>> = {};

  test('a file of more than 400 lines is listed with its reason', (t) => {
    const lengths = files.map((file) => ({ file, lines: sources.get(file)!.split('\n').length - 1 }));
    const [longest] = lengths.toSorted((a, b) => b.lines - a.lines);
    t.diagnostic(
      `${files.length} files, ${lengths.reduce((sum, { lines }) => sum + lines, 0)} lines; the longest: ${longest?.file} with ${longest?.lines}`,
    );
    assert.deepEqual(
      lengths.filter(({ file, lines }) => lines > 400 && LONG[file] === undefined),
      [],
    );
    assert.deepEqual(
      Object.keys(LONG).filter((file) => (lengths.find((each) => each.file === file)?.lines ?? 0) <= 400),
      [],
    );
  });
});

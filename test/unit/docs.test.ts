import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'node:test';

const root = join(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const pages = globSync(['*.md', 'docs/**/*.md', 'changes/*.md'], { cwd: root }).sort();

/** Headings of a page, without code blocks. */
function headings(page: string): string[] {
  const text = read(page).replaceAll(/^```[\s\S]*?^```/gm, '');
  return [...text.matchAll(/^#+ +(.+?) *$/gm)].map(([, heading]) => heading!);
}

/** As GitHub makes them. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
    .replaceAll(' ', '-');

test('every link between pages leads somewhere', () => {
  const broken = pages.flatMap((page) =>
    [
      ...read(page)
        .replaceAll(/^```[\s\S]*?^```/gm, '')
        .matchAll(/\]\((?!https?:|mailto:)([^)\s#]*)(?:#([^)\s]+))?\)/g),
    ]
      .filter(([, path = '', anchor]) => {
        const target = path === '' ? page : join(dirname(page), path);
        if (!existsSync(join(root, target))) return true;
        return anchor !== undefined && !headings(target).map(anchorOf).includes(anchor);
      })
      .map(([link]) => `${page}: ${link}`),
  );
  assert.ok(broken.length === 0, broken.join('\n'));
});

test('every page and heading that a comment cites exists', () => {
  let cited = 0;
  const missing = globSync(['src/**/*.ts', 'test/**/*.ts', 'scripts/*.ts'], { cwd: root }).flatMap((file) => {
    // A citation may go on in the next line of its comment.
    const text = read(file).replaceAll(/\n\s*(?:\*(?!\/)|\/\/)?\s*/g, ' ');
    return [...text.matchAll(/(docs\/[\w/-]+\.md)((?:(?:,| and| to)? ?"[^"]+")*)/g)].flatMap(
      ([, page = '', names = '']) => {
        cited++;
        if (!existsSync(join(root, page))) return [`${file} cites ${page}`];
        const known = headings(page);
        return [...names.matchAll(/"([^"]+)"/g)]
          .filter(([, name]) => !known.includes(name!))
          .map(([, name]) => `${file} cites ${page}, "${name}"`);
      },
    );
  });
  assert.ok(cited > 20, `${cited} citations found`);
  assert.ok(missing.length === 0, missing.join('\n'));
});

test('an ADR has its number, its status and the three parts', () => {
  const records = globSync('docs/adr/*.md', { cwd: root }).sort();
  assert.ok(records.length > 0);
  for (const [index, record] of records.entries()) {
    assert.match(record, new RegExp(`/${String(index + 1).padStart(4, '0')}-[a-z0-9-]+\\.md$`));
    assert.deepEqual(
      headings(record)
        .slice(1)
        .filter((heading) => ['Context', 'Decision', 'Consequences'].includes(heading)),
      ['Context', 'Decision', 'Consequences'],
      record,
    );
  }
});

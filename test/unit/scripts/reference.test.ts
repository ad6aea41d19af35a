import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { REFERENCE_PAGES } from '../../../scripts/reference.ts';
import { ERROR_CATALOGUE, type ErrorCode, errorPage } from '../../../src/domain/error-catalogue.ts';

const root = join(import.meta.dirname, '../../..');

for (const [name, page] of Object.entries(REFERENCE_PAGES)) {
  test(`docs/reference/${name} belongs to the sources (npm run generate)`, async () => {
    assert.equal(readFileSync(join(root, 'docs/reference', name), 'utf8'), await page());
  });
}

test('every error code has the heading that its page names', () => {
  const headings = [...readFileSync(join(root, 'docs/reference/errors.md'), 'utf8').matchAll(/^## (.+)$/gm)];
  const anchors = headings.map(([, heading]) => `docs/reference/errors.md#${heading!.toLowerCase()}`);
  const pages = (Object.keys(ERROR_CATALOGUE) as ErrorCode[]).map(errorPage);
  assert.deepEqual(anchors, pages);
});

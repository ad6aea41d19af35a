import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { allSsmVectors } from '../support/ssm-vectors.ts';

/** Keys of the file that hold no vectors. */
const NO_GROUPS = ['format', 'about'];

test('no group of the SSM vectors is left unrun', (t) => {
  const groups = Object.keys(allSsmVectors).filter((key) => !NO_GROUPS.includes(key));
  const sources = globSync('ssm-*.test.ts', { cwd: import.meta.dirname }).map((file) =>
    readFileSync(`${import.meta.dirname}/${file}`, 'utf8'),
  );
  for (const group of groups) {
    // A group counts as run where a file takes it and afterwards reports how much of it was run.
    const runners = sources.filter(
      (source) => source.includes(`ssmVectors('${group}')`) && source.includes(`reportVectors(t, '${group}', run`),
    );
    assert.ok(runners.length > 0, `group ${group} has a test`);
  }
  t.diagnostic(`${groups.length} groups, each with a test`);
  assert.equal(allSsmVectors.format, 'ssm-vectors/1');
});

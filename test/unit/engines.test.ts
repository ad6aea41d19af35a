import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';

const root = join(import.meta.dirname, '../..');
const engines = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { engines: { node: string } }).engines
  .node;
const gate = /const \[major[\s\S]*?;\nif \(!isSupported\)/.exec(readFileSync(join(root, 'bin/run.js'), 'utf8'));

/** The verdict of the check in bin/run.js, taken out of the file and run by itself. */
function gateAdmits(version: string): boolean {
  assert.ok(gate, 'the check in bin/run.js is found');
  const body = gate[0].replace('if (!isSupported)', 'return isSupported;');
  return new Function('process', body)({ versions: { node: version } }) as boolean;
}

type Version = readonly [major: number, minor: number, patch: number];
const parse = (text: string): Version => {
  const [major = 0, minor = 0, patch = 0] = text.split('.').map(Number);
  return [major, minor, patch];
};
const isAtLeast = (version: Version, floor: Version) => {
  const index = version.findIndex((part, at) => part !== floor[at]);
  return index === -1 || version[index]! > floor[index]!;
};

/** npm's verdict, for the two kinds of range that `engines` uses: `^a.b.c` and `>=a`. */
function enginesAdmit(version: Version): boolean {
  return engines.split('||').some((part) => {
    const [, kind, text] = /^(\^|>=)([\d.]+)$/.exec(part.trim()) ?? assert.fail(`a range of a new kind: ${part}`);
    const floor = parse(text!);
    return isAtLeast(version, floor) && (kind === '>=' || version[0] === floor[0]);
  });
}

test('bin/run.js and `engines` admit the same versions of Node', () => {
  let admitted = 0;
  for (let major = 18; major <= 28; major++) {
    for (const minor of [0, 1, 14, 15, 16, 21, 22, 23]) {
      for (const patch of [0, 1, 2, 3]) {
        const version: Version = [major, minor, patch];
        const verdict = gateAdmits(version.join('.'));
        assert.equal(verdict, enginesAdmit(version), version.join('.'));
        admitted += Number(verdict);
      }
    }
  }
  assert.ok(admitted > 0);
});

test('the Node that runs this test is admitted', () => {
  assert.ok(gateAdmits(process.versions.node));
});

import assert from 'node:assert/strict';
import test from 'node:test';
import { codeOf, importsOf, packageOf } from '../../../scripts/imports.ts';

const specifiers = (source: string) => importsOf(source).map(({ specifier }) => specifier);

test('every spelling of an import is found', () => {
  const source = [
    `import a from 'a';`,
    `import { b, type B } from "./b.ts";`,
    `import * as c from 'node:c';`,
    `import 'd';`,
    `export { e } from '@scope/e/deep';`,
    `export * from './f.ts';`,
    `import {\n  g,\n  h,\n} from './g.ts';`,
    `const i = await import('i');`,
    `const j = require("j");`,
    `import k, { l } from 'k';`,
  ].join('\n');
  assert.deepEqual(specifiers(source), [
    'a',
    './b.ts',
    'node:c',
    'd',
    '@scope/e/deep',
    './f.ts',
    './g.ts',
    'i',
    'j',
    'k',
  ]);
});

test('types and dynamic imports are told apart, lines are counted', () => {
  const [first, second, third] = importsOf(
    `import type { A } from './a.ts';\nexport type { B } from './b.ts';\nvoid import('./c.ts');`,
  );
  assert.deepEqual(first, { specifier: './a.ts', isTypeOnly: true, isDynamic: false, line: 1 });
  assert.deepEqual(second, { specifier: './b.ts', isTypeOnly: true, isDynamic: false, line: 2 });
  assert.deepEqual(third, { specifier: './c.ts', isTypeOnly: false, isDynamic: true, line: 3 });
});

test('what only looks like an import is not one', () => {
  const source = [
    `// import a from 'a';`,
    `/* import b from 'b';\n * import c from 'c'; */`,
    'const text = "import d from";',
    `const sentence = 'it is // not a comment';`,
    'const pattern = /import e from .f./;',
    'const half = one / two; const g = `import h from`;',
    `reimport('i'); module.import('j');`,
    `export const k = 'l';`,
    `const advice = "call [import 'm';] first";`,
  ].join('\n');
  assert.deepEqual(specifiers(source), []);
});

test('code keeps its length and lines, without comments and the insides of strings', () => {
  const source = `a('x//y'); // b\nc(/"/); d = e / f;\n/* g\n */ h("\\"i");`;
  const code = codeOf(source);
  assert.equal(code.length, source.length);
  assert.equal(code, `a('    ');     \nc(   ); d = e / f;\n    \n    h("   ");`);
});

test('the package of a specifier', () => {
  assert.equal(packageOf('@aws-sdk/client-ssm/dist-es/x.js'), '@aws-sdk/client-ssm');
  assert.equal(packageOf('ws/lib/x.js'), 'ws');
  assert.equal(packageOf('./x.ts'), undefined);
  assert.equal(packageOf('node:fs'), undefined);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CompletionFacts, completeWords } from '../../../src/fast/complete-words.ts';

const flag = (name: string, more: object = {}) => [name, { name, type: 'option' as const, ...more }] as const;
const FACTS: CompletionFacts = {
  commands: {
    rds: {
      id: 'rds',
      summary: 'open a database',
      args: { name: {} },
      flags: Object.fromEntries([flag('via'), flag('port', { char: 'p' }), flag('no-probe', { type: 'boolean' })]),
    },
    up: { id: 'up', args: {}, flags: {} },
    down: { id: 'down', args: {}, flags: {} },
    'lab:up': { id: 'lab:up', args: {}, flags: {} },
    'lab:down': { id: 'lab:down', args: {}, flags: {} },
    secret: { id: 'secret', hidden: true, args: {}, flags: {} },
    targets: {
      id: 'targets',
      args: {},
      flags: Object.fromEntries([flag('kind', { options: ['machine', 'database'] })]),
    },
  },
  names: [
    { name: 'prod', kind: 'rds' },
    { name: 'reports', kind: 'sql' },
    { name: 'bastion', kind: 'machine' },
    { name: 'dev', kind: 'group' },
  ],
  remembered: [
    { name: 'orders', kind: 'rds' },
    { name: 'prod', kind: 'rds' },
  ],
  held: ['prod'],
};

for (const [line, expected] of [
  ['', ['rds', 'up', 'down', 'lab', 'targets']],
  ['la', ['lab']],
  ['lab ', ['up', 'down']],
  ['rds ', ['orders', 'prod']],
  ['rds p', ['prod']],
  ['rds prod --', ['--via', '--port', '--no-probe']],
  ['rds prod --via x --p', ['--port']],
  ['rds prod --via ', ['bastion']],
  ['rds --no-probe ', ['orders', 'prod']],
  ['up ', ['prod', 'reports', 'bastion', 'dev']],
  ['down ', ['prod']],
  ['targets --kind m', ['machine']],
  ['nothing ', []],
  ['rds prod -- ', []],
  ['sec', []],
] as const) {
  test(`"${line}" goes on with ${expected.join(', ') || 'nothing'}`, () => {
    const found = completeWords(line.split(' '), FACTS).map(({ text }) => text);
    assert.deepEqual(found, expected);
  });
}

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { jsonDifference } from '../../../src/onboarding/json-difference.ts';
import { canonical, changesBetween, fingerprint } from '../../../src/onboarding/policy-changes.ts';
import type { CurrentResource, JsonValue, PolicyDraft, PolicyResource } from '../../../src/providers/policy-author.ts';

const wanted = (id: string, content: JsonValue, after: readonly string[] = []): PolicyResource => ({
  id,
  kind: 'policy',
  name: id,
  summary: '',
  content,
  after,
});
const there = (id: string, content: JsonValue, fields: Partial<CurrentResource> = {}): CurrentResource => ({
  id,
  kind: 'policy',
  name: id,
  summary: '',
  content,
  isOurs: true,
  version: '1',
  after: [],
  ...fields,
});
const draft = (...resources: PolicyResource[]): PolicyDraft => ({
  cloud: 'aws',
  place: '',
  scope: '1',
  owner: 'default',
  resources,
  notices: [],
});
const said = (changes: ReturnType<typeof changesBetween>['changes']) =>
  changes.map((change) => `${change.op} ${'wanted' in change ? change.wanted.id : change.current.id}`);

suite('changes between a draft and what is there', () => {
  test('what is the same in other words is not changed', () => {
    const { changes, unchanged } = changesBetween(draft(wanted('a', { x: 1, y: [2] })), [there('a', { y: [2], x: 1 })]);
    assert.deepEqual(said(changes), []);
    assert.deepEqual(
      unchanged.map(({ id }) => id),
      ['a'],
    );
  });

  test('makes what others lean on first, and takes away at the end, what leans first', () => {
    const { changes } = changesBetween(
      draft(wanted('attachment', 1, ['policy']), wanted('policy', 1, ['document']), wanted('document', 1)),
      [
        there('old document', 1),
        there('old attachment', 1, { after: ['old policy'] }),
        there('old policy', 1, { after: ['old document'] }),
      ],
    );
    assert.deepEqual(said(changes), [
      'add document',
      'add policy',
      'add attachment',
      'remove old attachment',
      'remove old policy',
      'remove old document',
    ]);
  });

  test('what others made is a conflict under our name, and nothing under another', () => {
    const { changes, conflicts } = changesBetween(draft(wanted('a', 1)), [
      there('a', 2, { isOurs: false }),
      there('b', 2, { isOurs: false }),
    ]);
    assert.deepEqual(said(changes), []);
    assert.deepEqual(
      conflicts.map(({ current }) => current.id),
      ['a'],
    );
  });

  test('a circle is a defect that has a name', () => {
    assert.throws(() => changesBetween(draft(wanted('a', 1, ['b']), wanted('b', 1, ['a'])), []), /a > b > a/);
  });

  test('the fingerprint changes with what is wanted, and with what it would replace', () => {
    const of = (content: JsonValue, current: CurrentResource) => {
      const comparison = changesBetween(draft(wanted('a', content)), [current]);
      return fingerprint([{ scope: '1', ...comparison }]);
    };
    const usual = of(1, there('a', 2));
    assert.match(usual, /^[0-9a-f]{16}$/);
    assert.equal(of(1, there('a', 2)), usual);
    assert.notEqual(of(3, there('a', 2)), usual);
    assert.notEqual(of(1, there('a', 2, { version: '2' })), usual);
  });
});

suite('differences of JSON', () => {
  test('statements are told apart by their Sid, lists of texts are sets', () => {
    const before = {
      Statement: [
        { Sid: 'One', Action: ['a', 'b'] },
        { Sid: 'Two', Effect: 'Deny' },
      ],
    };
    const after = {
      Statement: [
        { Sid: 'Two', Effect: 'Deny' },
        { Sid: 'One', Action: ['c', 'b'] },
      ],
    };
    assert.deepEqual(jsonDifference(before, after), [
      { path: 'Statement.One.Action', before: 'a' },
      { path: 'Statement.One.Action', after: 'c' },
    ]);
  });

  test('members that are on one side only, and values', () => {
    assert.deepEqual(jsonDifference({ a: 1, b: { c: 'x' } }, { b: { c: 'y' }, d: null }), [
      { path: 'a', before: 1 },
      { path: 'b.c', before: 'x', after: 'y' },
      { path: 'd', after: null },
    ]);
  });

  test('an order that changed is said as a whole', () => {
    assert.deepEqual(jsonDifference([1, 2], [2, 1]), [{ path: '', before: [1, 2], after: [2, 1] }]);
  });

  test('canonical text does not depend on the order of members', () => {
    assert.equal(canonical({ b: [{ d: 1, c: 2 }], a: 0 }), '{"a":0,"b":[{"c":2,"d":1}]}');
  });
});

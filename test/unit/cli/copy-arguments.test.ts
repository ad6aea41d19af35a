import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { copyPlan, resumeCommand } from '../../../src/cli/copy-arguments.ts';

/** The far side of a source, or what kind of refusal. */
const read = (text: string, platform = 'linux') => {
  try {
    const { machine, sources } = copyPlan([text, 'here'], platform);
    return [machine, sources[0]];
  } catch (error) {
    return error instanceof Error ? error.message : error;
  }
};

suite('sides of a copy', () => {
  for (const [text, machine, path] of [
    ['web-1:/var/log/x', 'web-1', '/var/log/x'],
    ['web-1:', 'web-1', ''],
    ['web-1:~/a b', 'web-1', '~/a b'],
    ['deploy@web-1:x:y', 'deploy@web-1', 'x:y'],
    ['gcp:web-1:/var/log/x', 'gcp:web-1', '/var/log/x'],
    ['root@aws:i-0abc:/x', 'root@aws:i-0abc', '/x'],
    ['tag:role=web:/tmp', 'tag:role=web', '/tmp'],
    ['aws:tag:role=web:x', 'aws:tag:role=web', 'x'],
    ['tag:role=web:/a:b', 'tag:role=web', '/a:b'],
    ['asg:workers:x', 'asg:workers', 'x'],
    ['acme/asia-northeast1-a/web-1:/tmp/x', 'acme/asia-northeast1-a/web-1', '/tmp/x'],
    ['10.0.1.7:x', '10.0.1.7', 'x'],
    ['web-1:../x', 'web-1', '../x'],
  ] as const) {
    test(text, () => assert.deepEqual(read(text), [machine, path]));
  }

  test('paths of this side', () => {
    for (const text of ['./a:b', '../a:b', '/a:b', '~/a:b', 'dir/a:b', 'plain', ':x', '.', 'a b']) {
      assert.equal(read(text), 'neither side names a machine', text);
    }
    assert.equal(read('C:\\Users\\x', 'win32'), 'neither side names a machine');
    assert.deepEqual(read('C:x'), ['C', 'x']);
  });

  test('what is ambiguous or no machine is refused', () => {
    assert.match(String(read('tag:Name=a:b:/tmp')), /where does the tag end/);
    assert.match(String(read('gcp:web-1')), /names a machine and no path on it/);
    assert.match(String(read('tag:role=web')), /names a machine and no path on it/);
    assert.match(String(read('sql:acme:asia-northeast1:orders')), /names no machine/);
    assert.throws(() => copyPlan(['a:x', 'b:y'], 'linux'), /both sides/);
    assert.throws(() => copyPlan(['a:x', 'b:y', '.'], 'linux'), /several machines/);
    assert.throws(() => copyPlan(['a:x', 'here', '.'], 'linux'), /neither side/);
    assert.throws(() => copyPlan(['a:x'], 'linux'), /a source and a destination/);
    assert.deepEqual(copyPlan(['x', 'y', 'web-1:/srv/'], 'linux'), {
      direction: 'up',
      machine: 'web-1',
      sources: ['x', 'y'],
      target: '/srv/',
    });
  });

  test('the command that goes on can be pasted', () => {
    assert.equal(
      resumeCommand(['-r', "it's", '--resume', 'web-1:/a b']),
      `cloudtun cp --resume -r 'it'\\''s' 'web-1:/a b'`,
    );
  });
});

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import ssh2 from 'ssh2';
import { AdmittedKeys } from '../../../../src/lab/ssh/admitted-keys.ts';
import { BoundPorts } from '../../../../src/lab/ssh/bound-ports.ts';
import { LineEditor } from '../../../../src/lab/ssh/core/line-editor.ts';
import { MemoryFiles, resolvePath } from '../../../../src/lab/ssh/core/memory-files.ts';
import { keyType, parsePublicKey } from '../../../../src/lab/ssh/core/public-key.ts';
import { parseScript } from '../../../../src/lab/ssh/core/shell-syntax.ts';
import { makeHostKey } from '../../../../src/lab/ssh/host-key.ts';
import { SshFaults } from '../../../../src/lab/ssh/ssh-faults.ts';

suite('the shell’s language', () => {
  /** `always: a b | c > f`, one text for each pipeline. */
  const read = (script: string) => {
    const pipelines = parseScript(script);
    if (typeof pipelines === 'string') return pipelines;
    const word = (parts: readonly { readonly text: string }[]) => parts.map(({ text }) => text).join('');
    return pipelines.map(({ when, commands }) => {
      const parts = commands.map(({ words, redirects }) => {
        const to = redirects.map((one) => `${one.from}>${'to' in one ? `&${one.to}` : word(one.file)}`);
        return [...words.map(word), ...to].join(' ');
      });
      return `${when}: ${parts.join(' | ')}`;
    });
  };

  test('lists', () => {
    assert.deepEqual(read('a b; c && d || e\nf'), [
      'always: a b',
      'always: c',
      'success: d',
      'failure: e',
      'always: f',
    ]);
    assert.deepEqual(read('a &&\n b'), ['always: a', 'success: b']);
    assert.deepEqual(read('a | b |\nc;'), ['always: a | b | c']);
    assert.deepEqual(read('# nothing\n\n'), []);
  });

  test('words', () => {
    assert.deepEqual(read(`a'b c'"d \\"e" \\; x#y`), ['always: ab cd "e ; x#y']);
    assert.deepEqual(parseScript(`'$A'"$B"`), [
      {
        when: 'always',
        commands: [
          {
            words: [
              [
                { text: '$A', expands: false },
                { text: '', expands: false },
                { text: '$B', expands: true },
              ],
            ],
            redirects: [],
          },
        ],
      },
    ]);
  });

  test('redirects', () => {
    assert.deepEqual(read('a >&2 2>/dev/null < in >> out'), ['always: a 1>&2 2>/dev/null 0>in 1>out']);
    assert.deepEqual(read('a 2>&1 2'), ['always: a 2 2>&1']);
  });

  test('what is wrong', () => {
    for (const script of ['a &&', '| a', 'a |', ';; a &&;', 'a >', "'a", '"a', 'a > | b']) {
      assert.equal(typeof read(script), 'string', script);
    }
    assert.match(String(read('a <<END')), /not understood/);
    assert.match(String(read('(a)')), /syntax error|not understood/);
  });
});

test('lines are edited as a terminal does it', () => {
  const editor = new LineEditor();
  const type = (text: string) => editor.receive(Buffer.from(text));
  const lines = (text: string) => type(text).flatMap((step) => (step.do === 'line' ? [step.text] : []));
  assert.deepEqual(lines('ab\x7fc\r\nd\x15e\x1b[Af\n'), ['ac', 'ef']);
  assert.deepEqual(type('x\x03'), [{ do: 'echo', text: 'x' }, { do: 'echo', text: '^C\r\n' }, { do: 'interrupt' }]);
  assert.deepEqual(type('\x04'), [{ do: 'end' }]);
  assert.deepEqual(type('a\x04'), [{ do: 'echo', text: 'a' }]);
});

test('files: folders, places in a file, moves, what is in the way', () => {
  const files = new MemoryFiles(() => 1_000);
  assert.equal(resolvePath('/home/a', '../b/./c/'), '/home/b/c');
  assert.equal(files.makeFolders('/home/a'), undefined);
  assert.equal(files.create('/nowhere/f'), 'missing');
  const file = files.create('/home/a/f');
  assert.ok(typeof file === 'object');
  assert.equal(files.write(file, 3, Buffer.from('xy')), undefined);
  assert.equal(file.bytes.subarray(0, file.byteCount).toString('hex'), '0000007879');
  files.resize(file, 2);
  files.resize(file, 4);
  assert.equal(file.bytes.subarray(0, file.byteCount).toString('hex'), '00000000');
  assert.equal(files.write(file, 600 * 1_048_576, Buffer.from('x')), 'full');
  assert.equal(files.create('/home/a/f/g'), 'no-folder');
  assert.equal(files.create('/home/a'), 'is-folder');
  assert.equal(files.remove('/home/a'), 'not-empty');
  assert.equal(files.rename('/home', '/home/a/b', true), 'exists');
  assert.equal(files.rename('/home/a/f', '/home/g', false), undefined);
  files.create('/home/h');
  assert.equal(files.rename('/home/g', '/home/h', false), 'exists');
  assert.equal(files.rename('/home/g', '/home/h', true), undefined);
  assert.equal(files.remove('/home', true), undefined);
  assert.equal(files.find('/home'), undefined);
});

test('public keys: lines, blobs of another type, what is cut short', () => {
  const { public: line } = ssh2.utils.generateKeyPairSync('ed25519', { comment: 'a b' });
  const parsed = parsePublicKey(line);
  assert.deepEqual([parsed?.type, parsed?.comment, keyType(parsed!.blob)], ['ssh-ed25519', 'a b', 'ssh-ed25519']);
  assert.equal(parsePublicKey(line.replace('ssh-ed25519', 'ssh-rsa')), undefined);
  assert.equal(parsePublicKey('ssh-ed25519'), undefined);
  assert.equal(keyType(Buffer.from([0, 0, 0, 9, 1])), undefined);
});

test('a host key is read by ssh2 and is the one that was published', () => {
  const key = makeHostKey({ bytes: (byteCount) => Buffer.alloc(byteCount, 7) });
  const parsed = ssh2.utils.parseKey(key.privateKey);
  assert.ok(!(parsed instanceof Error));
  assert.ok(key.blob.equals(parsed.getPublicSSH()));
});

test('admitted keys end when their time is over', () => {
  let now = 0;
  const keys = new AdmittedKeys(() => now);
  const { public: line } = ssh2.utils.generateKeyPairSync('ed25519');
  const { blob } = parsePublicKey(line)!;
  keys.add('aws/i-1', 'ec2-user', line, 60_000);
  now = 59_999;
  assert.equal(keys.has('aws/i-1', 'ec2-user', blob), true);
  assert.equal(keys.has('aws/i-2', 'ec2-user', blob), false);
  now = 60_000;
  assert.equal(keys.has('aws/i-1', 'ec2-user', blob), false);
});

test('ports of remote forwards: one owner, loopback for oneself', () => {
  const ports = new BoundPorts();
  const address = { host: '127.0.0.1', port: 1 };
  const release = ports.bind('a', 8080, { address, loopbackOnly: true });
  assert.equal(ports.bind('a', 8080, { address, loopbackOnly: false }), undefined);
  assert.equal(ports.find('a', 8080, false), address);
  assert.equal(ports.find('a', 8080, true), undefined);
  release?.();
  assert.equal(ports.find('a', 8080, false), undefined);
});

test('faults of one machine go on top of those of all', () => {
  const faults = new SshFaults({ delayMs: 5, machines: { 'web-1': { answer: 'silent' }, 'i-2': { delayMs: 7 } } });
  assert.deepEqual(
    ['aws/i-1', 'aws/i-2'].map((id) => {
      const { answer, delayMs } = faults.plan({ id, name: id === 'aws/i-1' ? 'web-1' : 'web-2' });
      return [answer, delayMs];
    }),
    [
      ['silent', 5],
      ['serve', 7],
    ],
  );
  assert.throws(() => faults.set({ delayMs: -1 }));
});

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { systemWorld } from '../../../src/runtime/world.ts';
import { copyOver } from '../../../src/ssh/copy/copy-over.ts';
import type { CopiedFile, CopyOptions, CopyReport } from '../../../src/ssh/copy/copy-types.ts';
import { ephemeralKey } from '../../../src/ssh/ephemeral-key.ts';
import { connectSsh } from '../../../src/ssh/ssh-connection.ts';
import { opensshUser, startOpenssh, unlessOpenssh } from '../../support/openssh-sshd.ts';
import { hostKeysOf, keyLogin } from '../../support/ssh-client.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { loopbackDialer } from '../../support/test-sshd.ts';

type Test = Parameters<typeof temporaryDirectory>[0];

const PLAIN: CopyOptions = { isRecursive: false, preserves: false, resumes: false, verifies: false };
const TREE: CopyOptions = { ...PLAIN, isRecursive: true };
const OLD = new Date('2020-01-02T03:04:05Z');

/** A login to an sshd without any cloud, and a folder on each side. */
async function rig(t: Test, config: Readonly<Record<string, string>> = {}) {
  const home = await temporaryDirectory(t);
  const [here, far] = [join(home, 'here'), join(home, 'far')];
  mkdirSync(here);
  mkdirSync(far);
  const sshd = await startOpenssh(t, { hostKey: ephemeralKey('host').privateKey.reveal(), admits: () => true, config });
  const world = systemWorld({ env: { HOME: home }, cwd: here });
  const server = { to: { port: sshd.port }, label: 'web-1', hostKeys: hostKeysOf(world) };
  const login = { ...keyLogin(ephemeralKey()), user: opensshUser };
  const { signal } = new AbortController();
  const connection = await connectSsh(world, loopbackDialer(), server, login, {}, signal);
  t.after(() => connection[Symbol.asyncDispose]());
  const copy = async (direction: 'up' | 'down', sources: readonly string[], target: string, options: CopyOptions) => {
    const files: CopiedFile[] = [];
    const listener = { onFile: (file: CopiedFile) => void files.push(file), onProgress: () => {} };
    const request = { direction, sources, target, label: 'web-1', options };
    const report: CopyReport = await copyOver(world, connection, request, listener, signal);
    return { report, files, failures: files.flatMap(({ error }) => (error ? [error.code] : [])).sort() };
  };
  return { here, far, copy };
}

const modeOf = (path: string): string => (statSync(path).mode & 0o7777).toString(8);

suite('copying files, with the OpenSSH server', { skip: unlessOpenssh() }, () => {
  test('a tree, both ways: links followed, permissions and times kept, nothing runs as somebody else', async (t) => {
    const { here, far, copy } = await rig(t);
    const tree = join(here, 'tree');
    mkdirSync(join(tree, 'sub/closed'), { recursive: true });
    mkdirSync(join(tree, 'empty'));
    for (let index = 0; index < 10; index += 1)
      writeFileSync(join(tree, `sub/${index}`), `${index}`.repeat(index * 997));
    writeFileSync(join(tree, "it's a \u001b[31mname"), 'x');
    writeFileSync(join(tree, 'program'), 'run me');
    chmodSync(join(tree, 'program'), 0o4755);
    writeFileSync(join(tree, 'sub/closed/secret'), 'secret');
    chmodSync(join(tree, 'sub/closed/secret'), 0o400);
    symlinkSync('../program', join(tree, 'sub/link'));
    utimesSync(join(tree, 'program'), OLD, OLD);
    chmodSync(join(tree, 'sub/closed'), 0o500);
    utimesSync(join(tree, 'sub/closed'), OLD, OLD);
    const up = await copy('up', ['tree'], far, { ...TREE, preserves: true });
    assert.deepEqual([up.report.copied, up.report.failed], [14, 0], up.failures.join());
    const down = await copy('down', [join(far, 'tree')], 'back', { ...TREE, preserves: true, verifies: true });
    assert.deepEqual([down.report.copied, down.report.failed], [14, 0], down.failures.join());
    for (const copied of [join(far, 'tree'), join(here, 'back')]) {
      for (const name of ["it's a \u001b[31mname", 'program', 'sub/9', 'sub/link', 'sub/closed/secret']) {
        assert.ok(readFileSync(join(copied, name)).equals(readFileSync(join(tree, name))), name);
      }
      assert.equal(lstatSync(join(copied, 'sub/link')).isFile(), true);
      assert.deepEqual(
        ['program', 'sub/closed', 'sub/closed/secret', 'sub/0'].map((name) => modeOf(join(copied, name))),
        ['755', '500', '400', modeOf(join(tree, 'sub/0'))],
      );
      assert.equal(statSync(join(copied, 'program')).mtimeMs, OLD.getTime());
      assert.equal(statSync(join(copied, 'sub/closed')).mtimeMs, OLD.getTime());
      assert.deepEqual(readdirSync(join(copied, 'empty')), []);
    }
  });

  test('what is no file, leads nowhere or in a circle is told, and the rest is copied', async (t) => {
    const { here, far, copy } = await rig(t);
    mkdirSync(join(far, 'tree/sub'), { recursive: true });
    writeFileSync(join(far, 'tree/file'), 'here');
    symlinkSync('nowhere', join(far, 'tree/dead'));
    symlinkSync('..', join(far, 'tree/sub/up'));
    symlinkSync('/', join(far, 'tree/sub/root'));
    symlinkSync('/dev/null', join(far, 'tree/device'));
    const { report, failures } = await copy('down', [join(far, 'tree')], '.', TREE);
    assert.deepEqual(failures, ['CT_FILE_KIND', 'CT_FILE_KIND', 'CT_FILE_KIND', 'CT_FILE_MISSING']);
    assert.equal(report.copied, 1);
    assert.equal(readFileSync(join(here, 'tree/file'), 'utf8'), 'here');
  });

  test('where a copy goes: into a folder, under another name, through a link, over a file', async (t) => {
    const { here, far, copy } = await rig(t);
    for (const name of ['a', 'b']) writeFileSync(join(here, name), `${name} of here`, { mode: 0o751 });
    assert.equal((await copy('up', ['a', 'b'], far, PLAIN)).report.copied, 2);
    assert.deepEqual([readdirSync(far).sort(), modeOf(join(far, 'a'))], [['a', 'b'], '751']);
    writeFileSync(join(far, 'real'), 'old', { mode: 0o640 });
    symlinkSync('real', join(far, 'link'));
    assert.equal((await copy('up', ['a'], join(far, 'link'), PLAIN)).report.copied, 1);
    assert.equal(readlinkSync(join(far, 'link')), 'real');
    // The file in the place keeps its permissions.
    assert.deepEqual([readFileSync(join(far, 'real'), 'utf8'), modeOf(join(far, 'real'))], ['a of here', '640']);
    assert.deepEqual((await copy('up', ['a'], `${far}/absent/`, PLAIN)).failures, ['CT_FILE_MISSING']);
    assert.deepEqual((await copy('up', ['a'], `${far}/absent/a`, PLAIN)).failures, ['CT_FILE_MISSING']);
    await assert.rejects(copy('up', ['a', 'b'], `${far}/a`, PLAIN), { code: 'CT_FILE_KIND' });
    mkdirSync(join(far, 'c/a'), { recursive: true });
    assert.deepEqual((await copy('up', ['a'], join(far, 'c'), PLAIN)).failures, ['CT_FILE_KIND']);
    assert.deepEqual((await copy('up', ['nothing', 'b'], far, PLAIN)).failures, ['CT_FILE_MISSING']);
    // A path without a name of its own puts what is in it there.
    assert.equal((await copy('down', [`${far}/c/..`], 'all', TREE)).report.copied, 4);
    assert.equal(readFileSync(join(here, 'all/b'), 'utf8'), 'b of here');
    // Files that are made as they are read have no size.
    assert.equal((await copy('down', ['/proc/version'], '.', PLAIN)).report.copied, 1);
    assert.equal(readFileSync(join(here, 'version'), 'utf8'), readFileSync('/proc/version', 'utf8'));
  });

  test('--resume looks at what is there before it goes on', async (t) => {
    const { here, far, copy } = await rig(t);
    const bytes = randomBytes(3_000_000);
    writeFileSync(join(here, 'file'), bytes);
    const part = join(far, '.file.cloudtun-part');
    const resumed = async (left: Buffer) => {
      writeFileSync(part, left);
      const { files } = await copy('up', ['file'], join(far, 'file'), { ...PLAIN, resumes: true });
      assert.ok(readFileSync(join(far, 'file')).equals(bytes));
      assert.equal(existsSync(part), false);
      writeFileSync(join(far, 'file'), 'another');
      return [files[0]?.movedByteCount, files[0]?.remarks.length];
    };
    assert.deepEqual(await resumed(bytes.subarray(0, 2_000_000)), [1_000_000, 0]);
    const wrong = Buffer.from(bytes.subarray(0, 2_000_000));
    wrong[1_000] = (wrong[1_000] ?? 0) ^ 1;
    assert.deepEqual(await resumed(wrong), [3_000_000, 1]);
    assert.deepEqual(await resumed(Buffer.concat([bytes, bytes])), [3_000_000, 1]);
    // A link in the place of what was left is not followed.
    const victim = join(far, 'victim');
    writeFileSync(victim, 'mine');
    symlinkSync('victim', part);
    await copy('up', ['file'], join(far, 'file'), { ...PLAIN, resumes: true });
    assert.equal(readFileSync(victim, 'utf8'), 'mine');
  });

  test('a server that runs no commands: resumed by size and time, compared by reading', async (t) => {
    const { here, far, copy } = await rig(t, { Subsystem: 'sftp internal-sftp', ForceCommand: 'internal-sftp' });
    const bytes = randomBytes(5_000_000);
    writeFileSync(join(here, 'file'), bytes);
    utimesSync(join(here, 'file'), OLD, OLD);
    writeFileSync(join(far, '.file.cloudtun-part'), bytes.subarray(0, 4_000_000));
    const options = { ...PLAIN, resumes: true, verifies: true };
    const { files, failures } = await copy('up', ['file'], far, options);
    assert.deepEqual(failures, []);
    assert.match(files[0]?.remarks[0] ?? '', /by size and time/);
    assert.ok(files[0]!.movedByteCount < 5_000_000 && files[0]!.movedByteCount > 1_000_000);
    assert.match(files[0]?.sha256 ?? '', /^[0-9a-f]{64}$/);
    assert.ok(readFileSync(join(far, 'file')).equals(bytes));
    const down = await copy('down', [join(far, 'file')], 'back', { ...PLAIN, verifies: true });
    assert.equal(down.files[0]?.sha256, files[0]?.sha256);
  });

  test('no SFTP at all, and one that a login script writes into', async (t) => {
    const absent = await rig(t, { Subsystem: 'another /bin/true' });
    await assert.rejects(absent.copy('up', ['x'], 'y', PLAIN), { code: 'CT_NO_SFTP' });
    const talking = await rig(t, { Subsystem: 'sftp /bin/echo welcome to this machine' });
    await assert.rejects(talking.copy('up', ['x'], 'y', PLAIN), { code: 'CT_NO_SFTP' });
  });

  test('a file that is written while it is read', async (t) => {
    const { here, far, copy } = await rig(t);
    const log = join(far, 'log');
    writeFileSync(log, randomBytes(8_000_000));
    const copying = copy('down', [log], '.', PLAIN);
    const writing = setInterval(() => appendFileSync(log, 'one more line\n'), 1);
    t.after(async () => clearInterval(writing));
    const { files } = await copying;
    clearInterval(writing);
    assert.match(files[0]?.remarks[0] ?? '', /^it grew while it was read: the first \d+ bytes/);
    assert.ok(
      readFileSync(log)
        .subarray(0, files[0]!.byteCount)
        .equals(readFileSync(join(here, 'log'))),
    );
  });
});

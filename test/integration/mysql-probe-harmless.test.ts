import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/** What the test needs of the machine and does not find; CI has all of it (root, and Debian's mariadb-server). */
function missing(): string | false {
  if (process.getuid?.() !== 0) return 'needs root, for a network of its own';
  for (const command of ['unshare', 'ip', 'mariadbd', 'mariadb', 'mariadb-install-db']) {
    try {
      execFileSync('sh', ['-c', `command -v ${command}`], { stdio: 'ignore' });
    } catch {
      return `needs ${command}`;
    }
  }
  try {
    execFileSync('unshare', ['--net', '--mount', 'true'], { stdio: 'ignore' });
  } catch {
    return 'may not make a network of its own here';
  }
  return false;
}

test('200 probes of a MariaDB that blocks after 3 errors do not block it; 3 hang-ups do', {
  skip: missing(),
}, async (t) => {
  const directory = await temporaryDirectory(t);
  const script = fileURLToPath(new URL('../support/blocking-server.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(
    'unshare',
    ['--net', '--mount', '--pid', '--fork', '--kill-child', process.execPath, script, directory],
    {
      timeout: 120_000,
    },
  );
  const result = JSON.parse(stdout) as {
    readonly greeting: string;
    readonly afterProbes: unknown;
    readonly afterOtherPlugins: unknown;
    readonly said: readonly string[];
    readonly probeWhenBlocked: string;
  };
  assert.match(result.greeting, /^MariaDB \d+\.\d+/);
  assert.deepEqual(result.afterProbes, { blocking: 0, refused: 200 });
  assert.deepEqual(result.afterOtherPlugins, { blocking: 0, refused: 232 });
  // So that the above can fail: the very same address, hanging up as other probes do.
  assert.match(result.said[2]!, /MariaDB/);
  assert.match(result.said[3]!, /is blocked because of many connection errors/);
  assert.equal(result.probeWhenBlocked, 'CT_DATABASE_REFUSED');
});

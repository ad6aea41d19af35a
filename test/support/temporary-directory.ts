import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory of its own for one test, removed when the test is over. */
export async function temporaryDirectory(test: { after(call: () => Promise<void>): void }): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'cloudtun-test-'));
  test.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

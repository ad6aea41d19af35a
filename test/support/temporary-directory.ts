import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * A directory of its own for one test, removed when the test is over.
 *
 * @param unused comes when nobody writes there any more
 */
export async function temporaryDirectory(
  test: { after(call: () => Promise<void>): void },
  unused: (path: string) => Promise<void> = async () => {},
): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'cloudtun-test-'));
  test.after(async () => {
    await unused(path);
    await rm(path, { recursive: true, force: true });
  });
  return path;
}

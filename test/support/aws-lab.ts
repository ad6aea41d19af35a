import { type Lab, type LabOptions, startLab } from '../../src/lab/lab.ts';
import type { World } from '../../src/runtime/world.ts';
import { systemWorld } from '../../src/runtime/world.ts';

/** A lab that is closed when the test is over. */
export async function testLab(
  test: { after(call: () => Promise<void>): void },
  options: LabOptions = {},
  world: World = systemWorld(),
): Promise<Lab> {
  const lab = await startLab(world, options);
  test.after(async () => lab[Symbol.asyncDispose]());
  return lab;
}

/** What an AWS client of a test needs to use the lab: no retries, so that an error answer is seen at once. */
export function clientOptions(lab: Lab, profile = 'default') {
  const key = lab.profiles[profile];
  if (key === undefined) throw new RangeError(`the lab has no profile ${profile}`);
  return {
    endpoint: lab.url,
    region: lab.inventory.region,
    maxAttempts: 1,
    credentials: {
      accessKeyId: key.accessKeyId,
      secretAccessKey: key.secretAccessKey.reveal(),
      ...(key.sessionToken === undefined ? {} : { sessionToken: key.sessionToken.reveal() }),
    },
  };
}

import { formatEndpoint } from '../domain/endpoint.ts';
import { asCloudtunError, type CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { farEndpoint, targetLabel } from '../domain/target.ts';
import { type OpenNamesOptions, openNames, type WantedName } from '../exec/open-names.ts';
import type { World } from '../runtime/world.ts';

/** How long one try may take. */
const TRY_LIMIT: Millis = 30_000;
/** Tried at the same time; a broker of the cloud asked for everything at once would refuse some. */
const AT_ONCE = 4;

/** What came of trying one target. */
export type TriedTarget =
  | {
      readonly name: string;
      readonly outcome: 'open';
      readonly took: Millis;
      readonly target: string;
      readonly to: string;
    }
  | { readonly name: string; readonly outcome: 'failed'; readonly error: CloudtunError };

/**
 * Opens each target once, waits until its far side has answered, and closes it again (spec section 5.7: one probe, and none of it left
 * behind). A failure of one says nothing of the others.
 */
export async function tryTargets(
  world: World,
  wanted: readonly WantedName[],
  options: Pick<OpenNamesOptions, 'compose' | 'held' | 'onOrphan'>,
  onTried: (tried: TriedTarget) => void,
  signal: AbortSignal,
): Promise<readonly TriedTarget[]> {
  const waiting = [...wanted];
  const tried = new Map<string, TriedTarget>();
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      signal.throwIfAborted();
      const result = await tryTarget(world, next, options, signal);
      tried.set(next.name, result);
      onTried(result);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return wanted.map(({ name }) => tried.get(name)!);
}

async function tryTarget(
  world: World,
  wanted: WantedName,
  options: Pick<OpenNamesOptions, 'compose' | 'held' | 'onOrphan'>,
  signal: AbortSignal,
): Promise<TriedTarget> {
  const { name } = wanted;
  const quiet = { isProbed: true, retries: 0, connectTimeout: TRY_LIMIT, onEvent: () => {}, onRetry: () => {} };
  try {
    await using opened = await openNames(world, [wanted], { ...options, ...quiet }, signal);
    const [{ took, route }] = opened.names as [(typeof opened.names)[number]];
    await opened.close();
    return { name, outcome: 'open', took, target: targetLabel(route.target), to: formatEndpoint(farEndpoint(route)) };
  } catch (thrown) {
    signal.throwIfAborted();
    return { name, outcome: 'failed', error: asCloudtunError(thrown) };
  }
}

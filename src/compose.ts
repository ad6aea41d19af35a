import type { CloudSelection, Provider } from './providers/provider.ts';
import type { World } from './runtime/world.ts';

/*
 * The only file that knows concrete classes, each loaded on first use: `cloudtun --help` reads no SDK, `targets` no websocket.
 */

/** The provider that a command asks; there is one cloud in this version. */
export async function composeProvider(world: World, selection: CloudSelection): Promise<Provider> {
  const { PROVIDERS } = await import('./providers/registry.ts');
  return PROVIDERS.aws(world, selection);
}

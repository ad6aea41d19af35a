import type { ProviderId } from '../domain/target.ts';
import type { World } from '../runtime/world.ts';
import type { CloudSelection, Prompts, Provider } from './provider.ts';

export type ProviderFactory = (world: World, selection: CloudSelection, prompts?: Prompts) => Promise<Provider>;

/** Loaded on first use, so that `cloudtun --help` reads no SDK. */
export const PROVIDERS = {
  aws: async (world, selection, prompts) =>
    (await import('./aws/aws-provider.ts')).awsProvider(world, selection, prompts),
} satisfies Record<ProviderId, ProviderFactory>;

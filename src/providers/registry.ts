import type { AuditReader } from '../domain/audit-feed.ts';
import type { PlaceKey, ProviderId } from '../domain/target.ts';
import type { World } from '../runtime/world.ts';
import { AWS_NAMES } from './aws/aws-names.ts';
import { GCP_NAMES } from './gcp/gcp-names.ts';
import type { PolicyDrafter } from './policy-author.ts';
import type { CloudNames, CloudSelection, Prompts, Provider } from './provider.ts';

export type ProviderFactory = (world: World, selection: CloudSelection, prompts?: Prompts) => Promise<Provider>;

/** One cloud: what its names look like, and how to reach it. */
export interface Cloud extends CloudNames {
  /** Loaded on first use, so that `cloudtun --help` reads no SDK. */
  readonly create: ProviderFactory;
  /** How permissions are written for it; absent where cloudtun writes none. */
  readonly policy?: {
    /** What of a place tells one set of permissions from another: the profile stands for an account. */
    readonly keys: readonly PlaceKey[];
    drafter(): Promise<PolicyDrafter>;
  };
  /** How its own records of tunnels are read, where it keeps any. */
  readonly auditReader?: () => Promise<AuditReader>;
}

export const PROVIDERS: Readonly<Record<ProviderId, Cloud>> = {
  aws: {
    ...AWS_NAMES,
    create: async (world, selection, prompts) =>
      (await import('./aws/aws-provider.ts')).awsProvider(world, selection, prompts),
    policy: {
      keys: ['profile'],
      drafter: async () => (await import('./aws/policy/drafter.ts')).awsPolicyDrafter,
    },
    auditReader: async () => (await import('./aws/audit-reader.ts')).cloudTrailReader,
  },
  gcp: {
    ...GCP_NAMES,
    create: async (world, selection, prompts) =>
      (await import('./gcp/gcp-provider.ts')).gcpProvider(world, selection, prompts),
    policy: {
      keys: ['project'],
      drafter: async () => (await import('./gcp/policy/drafter.ts')).gcpPolicyDrafter,
    },
    auditReader: async () => (await import('./gcp/audit-reader.ts')).cloudAuditReader,
  },
};

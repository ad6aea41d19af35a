import type { CloudNames } from '../provider.ts';

export const GCP_NAMES: CloudNames = {
  label: 'Google Cloud',
  claims: (target) => (/^(sql:.+|[^/]+\/[^/]+\/[^/]+|.+@[^/]+\/.+)$/.test(target) ? 'surely' : 'maybe'),
  isConfigured: ({ env }) => Boolean(env.GOOGLE_APPLICATION_CREDENTIALS),
};

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { CloudNames } from '../provider.ts';

/** Ids and prefixes that no other cloud has. */
const SURELY = /^(m?i-([0-9a-f]{8}|[0-9a-f]{17})|(tag|asg|ecs|rds|elasticache):.+)$/s;
/** A private or public DNS name of AWS. */
const DNS_NAME = /\.(compute\.internal|ec2\.internal|amazonaws\.com(\.cn)?)$/i;
/** What only Google Cloud writes so. */
const NEVER = /^sql:|[/@]/;
const VARIABLES = [
  'AWS_PROFILE',
  'AWS_ACCESS_KEY_ID',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  'AWS_CONFIG_FILE',
  'AWS_SHARED_CREDENTIALS_FILE',
];

export const AWS_NAMES: CloudNames = {
  label: 'AWS',
  ownKeys: ['profile'],
  firstStep: 'cloudtun login, AWS_PROFILE, or keys in the environment',
  claims(target) {
    if (SURELY.test(target) || DNS_NAME.test(target)) return 'surely';
    return NEVER.test(target) ? 'no' : 'maybe';
  },
  isConfigured({ env, paths }) {
    if (VARIABLES.some((name) => env[name])) return true;
    return ['config', 'credentials'].some((file) => existsSync(join(paths.home, '.aws', file)));
  },
};

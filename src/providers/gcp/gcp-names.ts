import { existsSync } from 'node:fs';
import type { CloudNames } from '../provider.ts';
import { activeConfigName, adcPath, configurationPath, readIfThere } from './gcloud-folder.ts';

const PREFIX = /^(sql|label):.+$/s;
/** `project/zone/instance` */
const INSTANCE_PATH = /^[^/@\s]+\/[^/@\s]+\/[^/@\s]+$/;
/** `host@region/network[/group]`, with or without a port */
const GROUP_HOST = /^[^/@\s]+@[^/@\s]+\/[^/@\s]+(\/[^/@\s]+)?$/;
/** Its port; an IPv6 address before it stands in brackets. */
const FAR_PORT = /^(?:\[[^\]@]+\]|[^:@]+):(\d{1,5})@/;
/** The connection name of a Cloud SQL instance; a project of a domain has a colon of its own. */
const CONNECTION_NAME = /^([a-z0-9.-]+:)?[a-z][a-z0-9-]*:[a-z]+-[a-z]+\d+:[a-z][a-z0-9-]*$/;
/** Zonal and global internal DNS names. */
const DNS_NAME = /^[^.]+\.([^.]+\.)?c\.[^/]+\.internal$/i;
/** What only AWS writes so: ids, prefixes, DNS names. */
const NEVER =
  /^(m?i-([0-9a-f]{8}|[0-9a-f]{17})$|(tag|asg|ecs|rds|elasticache):)|\.(compute\.internal|ec2\.internal|amazonaws\.com(\.cn)?)$/i;

/** Each says by itself that somebody set up Google Cloud here; CLOUDSDK_PYTHON and the like do not. */
const VARIABLES = [
  'GOOGLE_APPLICATION_CREDENTIALS',
  'GOOGLE_CLOUD_PROJECT',
  'GCLOUD_PROJECT',
  'CLOUDSDK_CORE_PROJECT',
  'CLOUDSDK_AUTH_ACCESS_TOKEN_FILE',
  'CLOUDTUN_GCP_ENDPOINT',
];

export const GCP_NAMES: CloudNames = {
  label: 'Google Cloud',
  ownKeys: ['project', 'zone'],
  firstStep: 'gcloud auth application-default login, or GOOGLE_APPLICATION_CREDENTIALS',
  farPort(target) {
    const [, port] = FAR_PORT.exec(target) ?? [];
    return port === undefined ? undefined : Number(port);
  },
  claims(target) {
    if (NEVER.test(target)) return 'no';
    const isOurs = [PREFIX, INSTANCE_PATH, GROUP_HOST, CONNECTION_NAME, DNS_NAME].some((form) => form.test(target));
    return isOurs ? 'surely' : 'maybe';
  },
  isConfigured(world) {
    if (VARIABLES.some((name) => world.env[name])) return true;
    if (existsSync(adcPath(world))) return true;
    const configuration = readIfThere(configurationPath(world, activeConfigName(world))) ?? '';
    return /^\s*project\s*[=:]\s*\S/m.test(configuration);
  },
};

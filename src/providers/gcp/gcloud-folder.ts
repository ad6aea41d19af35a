import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { World } from '../../runtime/world.ts';

type Place = Pick<World, 'env' | 'paths'>;

/** Where gcloud keeps its configuration, credentials of its own and the application default credentials. It need not exist. */
export function gcloudFolder({ env, paths }: Place): string {
  if (env.CLOUDSDK_CONFIG) return env.CLOUDSDK_CONFIG;
  return env.APPDATA ? join(env.APPDATA, 'gcloud') : join(paths.home, '.config', 'gcloud');
}

/** The file that `gcloud auth application-default login` writes. */
export const adcPath = (world: Place): string => join(gcloudFolder(world), 'application_default_credentials.json');

/** The name of the active configuration: CLOUDSDK_ACTIVE_CONFIG_NAME, else the file `active_config`, else `default`. */
export function activeConfigName(world: Place): string {
  const chosen = world.env.CLOUDSDK_ACTIVE_CONFIG_NAME;
  if (chosen) return chosen;
  return readIfThere(join(gcloudFolder(world), 'active_config'))?.trim() || 'default';
}

export const configurationPath = (world: Place, name: string): string =>
  join(gcloudFolder(world), 'configurations', `config_${name}`);

/** The text of a small file; undefined when it cannot be read, for whatever reason. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

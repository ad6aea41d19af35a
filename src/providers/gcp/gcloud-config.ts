import { CloudtunError } from '../../domain/errors.ts';
import { nearestNames } from '../../domain/nearest.ts';
import type { Environment, World } from '../../runtime/world.ts';
import { activeConfigName, configurationPath, gcloudFolder, readIfThere } from './gcloud-folder.ts';

/** gcloud's properties, as gcloud itself would see them: a variable `CLOUDSDK_SECTION_NAME` before the active configuration's file. */
export interface GcloudConfig {
  readonly folder: string;
  /** The active configuration. */
  readonly name: string;
  /** An empty value counts as unset. */
  get(section: string, name: string): string | undefined;
  /** True for `true`, `yes`, `on`, `1`, as gcloud reads them. */
  isOn(section: string, name: string): boolean;
}

/**
 * Reads the active configuration without gcloud. A missing folder is an empty configuration.
 *
 * @throws CT_CONFIG when CLOUDSDK_ACTIVE_CONFIG_NAME names a configuration that does not exist
 */
export async function gcloudConfig(world: Pick<World, 'env' | 'paths'>): Promise<GcloudConfig> {
  const { env } = world;
  const name = activeConfigName(world);
  const text = readIfThere(configurationPath(world, name));
  // gcloud itself refuses a configuration that somebody named and that is not there; NONE means "none".
  if (text === undefined && env.CLOUDSDK_ACTIVE_CONFIG_NAME === name && name !== 'NONE') {
    throw await unknownConfiguration(name, gcloudFolder(world));
  }
  const sections = text === undefined ? {} : await readIni(text);
  const get = (section: string, key: string) =>
    fromEnvironment(env, section, key) || sections[section]?.[key] || undefined;
  return {
    folder: gcloudFolder(world),
    name,
    get,
    isOn: (section, key) => ['true', 'yes', 'on', '1'].includes(get(section, key)?.toLowerCase() ?? ''),
  };
}

const fromEnvironment = (env: Environment, section: string, key: string) =>
  env[`CLOUDSDK_${section.toUpperCase()}_${key.toUpperCase()}`]?.trim();

type Sections = Readonly<Record<string, Readonly<Record<string, string>>>>;

async function readIni(text: string): Promise<Sections> {
  const { parse } = await import('./sdk/ini.ts');
  // gcloud's files know no comments behind a value and no escapes: a proxy's password may hold any of these characters.
  const literal = text.replace(/^(?!\s*[;#[]).*$/gm, (line) => line.replace(/[\\;#]/g, '\\$&'));
  const sections: Record<string, Record<string, string>> = {};
  for (const [section, values] of Object.entries(parse(literal))) {
    if (typeof values !== 'object' || values === null) continue;
    const entries = Object.entries(values as Record<string, unknown>).filter(([, value]) => typeof value !== 'object');
    sections[section.toLowerCase()] = Object.fromEntries(
      entries.map(([key, value]) => [key.toLowerCase(), String(value)]),
    );
  }
  return sections;
}

async function unknownConfiguration(name: string, folder: string): Promise<CloudtunError> {
  const { readdir } = await import('node:fs/promises');
  const files = await readdir(`${folder}/configurations`).catch((): string[] => []);
  const near = nearestNames(
    name,
    files.map((file) => file.replace(/^config_/, '')),
  );
  return new CloudtunError('CT_CONFIG', `there is no gcloud configuration "${name}"`, {
    hint: [
      ...(near.length > 0 ? [`did you mean: ${near.join(', ')}`] : []),
      `CLOUDSDK_ACTIVE_CONFIG_NAME names it; configurations live in ${folder}/configurations`,
    ],
  });
}

import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { CloudtunError, systemCode } from '../../domain/errors.ts';
import type { World } from '../../runtime/world.ts';
import { importBasti } from './basti.ts';
import { importAwsConfig, importGcloudConfig } from './cloud-settings.ts';
import { type Imported, NOTHING_IMPORTED } from './imported.ts';
import { importSshConfig } from './ssh-config-file.ts';

type Place = Pick<World, 'cwd' | 'env' | 'paths'>;

/** A file of another program, and what it gave. */
export interface ImportedFile extends Imported {
  readonly path: string;
}

/** Larger ones are no configuration. */
const SIZE_LIMIT = 1_048_576;

/**
 * Reads configurations of other programs.
 *
 * @param given paths; empty: those that are where their programs look for them
 * @throws CT_CONFIG for a file that was named and cannot be read, or is of no program that we know
 */
export async function importFiles(world: Place, given: readonly string[]): Promise<readonly ImportedFile[]> {
  const paths = given.length > 0 ? given.map((path) => resolve(world.cwd, path)) : usualFiles(world);
  const found = await Promise.all(paths.map((path) => importFile(world, path, given.length > 0)));
  return found.filter((file) => file !== undefined);
}

function usualFiles(world: Place): readonly string[] {
  const { cwd, env, paths } = world;
  const folders: string[] = [];
  for (let folder = cwd; ; folder = dirname(folder)) {
    folders.push(folder);
    if (folder === paths.home || folder === dirname(folder)) break;
  }
  return [
    ...folders.flatMap((folder) => ['yaml', 'yml', 'json'].map((end) => join(folder, `.basti.${end}`))),
    join(paths.home, '.ssh/config'),
    env.AWS_CONFIG_FILE ?? join(paths.home, '.aws/config'),
    ...gcloudFiles(gcloudFolder(world)),
  ];
}

const gcloudFolder = ({ env, paths }: Place) => env.CLOUDSDK_CONFIG ?? join(paths.home, '.config/gcloud');

function gcloudFiles(folder: string): readonly string[] {
  try {
    const names = readdirSync(join(folder, 'configurations'));
    return names.filter((name) => name.startsWith('config_')).map((name) => join(folder, 'configurations', name));
  } catch {
    return [];
  }
}

async function importFile(world: Place, path: string, isNamed: boolean): Promise<ImportedFile | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (!isNamed) return undefined;
    throw new CloudtunError('CT_CONFIG', `${path} cannot be read (${systemCode(error) ?? 'unknown reason'})`, {
      cause: error,
    });
  }
  if (text.length > SIZE_LIMIT) throw new CloudtunError('CT_CONFIG', `${path} is larger than a configuration is`);
  try {
    return { path, ...(await read(world, path, text)) };
  } catch (error) {
    if (error instanceof CloudtunError) throw error;
    throw new CloudtunError('CT_CONFIG', `${path} cannot be understood`, { cause: error });
  }
}

async function read(world: Place, path: string, text: string): Promise<Imported> {
  const name = basename(path);
  if (/^\.?basti\.(ya?ml|json)$/.test(name)) return importBasti(text);
  const { parse } = await import('ini');
  if (name.startsWith('config_')) {
    const active = await readFile(join(gcloudFolder(world), 'active_config'), 'utf8').catch(() => 'default');
    const own = world.env.CLOUDSDK_ACTIVE_CONFIG_NAME ?? active.trim();
    return importGcloudConfig(name.slice('config_'.length), parse(text), own === name.slice('config_'.length));
  }
  if (/^\s*\[/m.test(text) && !/^\s*Host\s/im.test(text)) return importAwsConfig(parse(text));
  if (/^\s*(Host|Match|Include)\s/im.test(text)) return importSshConfig(text);
  if (text.trim() === '') return NOTHING_IMPORTED;
  throw new CloudtunError('CT_CONFIG', `${path} is of no program that is known here`, {
    hint: 'known: .basti.yaml, an ssh configuration, an AWS configuration, a gcloud configuration (config_NAME)',
  });
}

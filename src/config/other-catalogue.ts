import { dirname, join, resolve } from 'node:path';
import { CloudtunError, systemCode } from '../domain/errors.ts';
import { gitFile } from '../runtime/git-file.ts';
import type { World } from '../runtime/world.ts';
import type { Catalogue } from './catalogue.ts';
import { type CatalogueText, catalogueFiles, mergeFiles, PROJECT_FILE, readText } from './load.ts';
import { parseCatalogue, problemError } from './parse.ts';
import { wrongReferences } from './references.ts';

/** Another catalogue to compare with. */
export interface OtherCatalogue {
  /** For people: `main:cloudtun.yaml`, `old.yaml`. */
  readonly label: string;
  readonly catalogue: Catalogue;
}

/**
 * The catalogue as it is in another file, or was in another revision of git, in place of the project's; the user's own file counts as
 * it does with the project's. A revision without the file gives an empty catalogue.
 *
 * @param text a path, or a revision; what is there as a file is meant as one
 * @throws CT_USAGE where there is neither; CT_CONFIG where it is no catalogue
 */
export async function otherCatalogue(
  world: Pick<World, 'cwd' | 'paths' | 'env'>,
  text: string,
  signal: AbortSignal,
): Promise<OtherCatalogue> {
  const files = await catalogueFiles(world);
  const own = join(world.paths.config, 'config.yaml');
  const project = files.find(({ path }) => path !== own);
  const found = await otherText(world, text, project, signal);
  const label = found?.label ?? `${text}:${PROJECT_FILE}`;
  const all = [found, files.find(({ path }) => path === own)].filter((file) => file !== undefined);
  // As the project's own is read: local ports that meet are a matter of who opens tunnels with it.
  const parsed = all.map(({ path, label: name, text: content }) => ({ path, parsed: parseCatalogue(content, name) }));
  const catalogue = mergeFiles(parsed);
  for (const file of parsed) {
    const [wrong] = wrongReferences(file.parsed, catalogue);
    if (wrong !== undefined) throw problemError(wrong);
  }
  return { label, catalogue };
}

async function otherText(
  { cwd, env }: Pick<World, 'cwd' | 'env'>,
  text: string,
  project: CatalogueText | undefined,
  signal: AbortSignal,
): Promise<CatalogueText | undefined> {
  // A directory may have the name of a branch.
  const file = await readText(resolve(cwd, text), cwd).catch((failure: unknown) => {
    if (failure instanceof CloudtunError && systemCode(failure.cause) === 'EISDIR') return undefined;
    throw failure;
  });
  if (file !== undefined) return file;
  const folder = project === undefined ? cwd : dirname(project.path);
  const inGit = await gitFile(text, PROJECT_FILE, { cwd: folder, env, signal });
  return inGit === undefined ? undefined : { path: text, label: `${text}:${PROJECT_FILE}`, text: inGit };
}

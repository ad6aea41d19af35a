import { readFile, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { CloudtunError, systemCode } from '../domain/errors.ts';
import type { World } from '../runtime/world.ts';
import { type Catalogue, completeTargets, NO_CATALOGUE } from './catalogue.ts';
import { auditOf } from './journal-settings.ts';
import { mergePolicy } from './merge-policy.ts';
import type { ParsedFile } from './parse.ts';
import { wrongReferences } from './references.ts';

/** The project's file, in the working directory or above it. */
export const PROJECT_FILE = 'cloudtun.yaml';

/** A catalogue is written by hand; more than this is a mistake. */
const MAX_FILE_BYTES = 1_048_576;

/**
 * Reads the catalogue: `cloudtun.yaml` found by walking up from the working directory to the home directory (or the root, outside
 * of it), over `config.yaml` of the user's configuration directory. No file at all gives an empty catalogue.
 *
 * @throws CT_CONFIG when a file does not fit the schema, or cannot be read
 */
export async function loadCatalogue(world: Pick<World, 'cwd' | 'paths' | 'log'>): Promise<Catalogue> {
  const files: FoundFile[] = [];
  for (const found of await catalogueFiles(world)) {
    // Parser and schema cost 10 MB that a tunnel would keep for hours: only where there is a file to read.
    const { parseCatalogue } = await import('./parse.ts');
    files.push({ path: found.path, parsed: parseCatalogue(found.text, found.label) });
  }
  const catalogue = mergeFiles(files);
  for (const { parsed } of files) {
    const [wrong] = wrongReferences(parsed, catalogue);
    if (wrong) throw (await import('./parse.ts')).problemError(wrong);
  }
  return catalogue;
}

/** One file of the catalogue that was read and checked by itself. */
export interface FoundFile {
  readonly path: string;
  readonly parsed: ParsedFile;
}

/** @param files the stronger first */
export function mergeFiles(files: readonly FoundFile[]): Catalogue {
  // The weaker file first, so that the stronger one replaces what both have.
  const weakFirst = [...files].reverse();
  const merged = <Section extends 'groups' | 'logs' | 'teams'>(section: Section) =>
    new Map(weakFirst.flatMap(({ parsed }) => Object.entries(parsed.data[section] ?? {}))) as Catalogue[Section];
  const contact = files.find(({ parsed }) => parsed.data.contact !== undefined)?.parsed.data.contact;
  return {
    files: files.map((file) => file.path),
    name: files.find(({ parsed }) => parsed.data.name !== undefined)?.parsed.data.name ?? NO_CATALOGUE.name,
    ...(contact !== undefined && { contact }),
    defaults: Object.assign({}, ...weakFirst.map((file) => file.parsed.data.defaults)),
    targets: completeTargets(new Map(weakFirst.flatMap((file) => [...file.parsed.entries]))),
    groups: merged('groups'),
    logs: merged('logs'),
    teams: merged('teams'),
    policy: mergePolicy(files.map((file) => file.parsed.data.policy ?? {})),
    audit: Object.assign({}, ...weakFirst.map(({ path, parsed }) => auditOf(path, parsed.data.audit))),
  };
}

/** A file as it is on disk. */
export interface CatalogueText {
  readonly path: string;
  /** How people call it: near the working directory, or whole. */
  readonly label: string;
  readonly text: string;
}

/**
 * The files of spec section 4, the stronger first.
 *
 * @throws CT_CONFIG when one cannot be read
 */
export async function catalogueFiles(world: Pick<World, 'cwd' | 'paths'>): Promise<readonly CatalogueText[]> {
  const found = [await findProjectFile(world), await readText(join(world.paths.config, 'config.yaml'), world.cwd)];
  return found.filter((file) => file !== undefined);
}

async function findProjectFile(world: Pick<World, 'cwd' | 'paths'>): Promise<CatalogueText | undefined> {
  for (let folder = world.cwd; ; folder = dirname(folder)) {
    const found = await readText(join(folder, PROJECT_FILE), world.cwd);
    if (found || folder === world.paths.home || folder === dirname(folder)) return found;
  }
}

/** @throws CT_CONFIG when it is there and cannot be read, or is larger than a catalogue is */
export async function readText(path: string, cwd: string): Promise<CatalogueText | undefined> {
  const label = nameForPeople(path, cwd);
  let text: string;
  try {
    const { size } = await stat(path);
    if (size > MAX_FILE_BYTES) throw tooLarge(label, size);
    text = await readFile(path, 'utf8');
  } catch (failure) {
    if (failure instanceof CloudtunError) throw failure;
    const code = systemCode(failure);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new CloudtunError('CT_CONFIG', `${label} cannot be read (${code ?? 'unknown reason'})`, { cause: failure });
  }
  // A pipe has no size before it is read.
  if (text.length > MAX_FILE_BYTES) throw tooLarge(label, text.length);
  return { path, label, text };
}

function tooLarge(label: string, size: number): CloudtunError {
  return new CloudtunError('CT_CONFIG', `${label} has ${size} bytes; at most ${MAX_FILE_BYTES} are read`);
}

function nameForPeople(path: string, cwd: string): string {
  const near = relative(cwd, path);
  return near.startsWith('..') ? path : near;
}

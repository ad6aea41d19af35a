import { asCloudtunError, type CloudtunError } from '../domain/errors.ts';
import type { Catalogue } from './catalogue.ts';
import { type CatalogueText, type FoundFile, mergeFiles } from './load.ts';
import { type CatalogueProblem, checkCatalogue } from './parse.ts';
import { wrongReferences } from './references.ts';
import { sharedPorts } from './stable-port.ts';

/** What is wrong with the files of a catalogue; without problems, what they say together. */
export interface CheckedFiles {
  readonly problems: readonly (CatalogueProblem | CloudtunError)[];
  readonly catalogue?: Catalogue;
}

/**
 * Checks files by themselves and together: shapes, names, ways, local ports that two targets share.
 *
 * @param files the stronger first
 */
export function checkFiles(files: readonly CatalogueText[]): CheckedFiles {
  const checked = files.map(({ path, label, text }) => ({ path, ...checkCatalogue(text, label) }));
  const problems: (CatalogueProblem | CloudtunError)[] = checked.flatMap((file) => file.problems);
  const parsed = checked.flatMap(({ path, parsed }): readonly FoundFile[] => (parsed ? [{ path, parsed }] : []));
  if (problems.length > 0) return { problems };
  let catalogue: Catalogue;
  try {
    catalogue = mergeFiles(parsed);
  } catch (thrown) {
    return { problems: [asCloudtunError(thrown)] };
  }
  for (const file of parsed) problems.push(...wrongReferences(file.parsed, catalogue));
  problems.push(...sharedPorts(catalogue));
  return problems.length > 0 ? { problems } : { problems, catalogue };
}

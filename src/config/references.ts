import { GRANT_VERBS } from '../domain/grant.ts';
import { nearestNames } from '../domain/nearest.ts';
import type { Catalogue, Place } from './catalogue.ts';
import type { CatalogueProblem } from './parse.ts';
import type { CatalogueFile } from './schema.ts';

/** A file of the catalogue, as far as its names are looked up. */
interface NamingFile {
  readonly data: CatalogueFile;
  placeOf(path: readonly PropertyKey[]): Place;
}

/**
 * The names of a file that stand for no target, group or log, and logs that are none.
 *
 * @param catalogue of all files together: a user's group may hold a target of the project
 */
export function* wrongReferences(
  file: NamingFile,
  catalogue: Pick<Catalogue, 'targets' | 'groups' | 'logs'>,
): Generator<CatalogueProblem, void, undefined> {
  const targets = [...catalogue.targets.keys()];
  const groups = [...catalogue.groups.keys()];
  const { data } = file;
  const check = (path: readonly PropertyKey[], name: string, kind: string, known: readonly string[]) =>
    known.includes(name) ? undefined : unknownName(file.placeOf(path), path, name, kind, known);
  for (const [group, names] of Object.entries(data.groups ?? {})) {
    if (catalogue.targets.has(group)) yield sameName(file.placeOf(['groups', group]), group);
    for (const [index, name] of names.entries()) {
      const wrong = check(['groups', group, index], name, 'target', targets);
      if (wrong) yield wrong;
      else if (names.indexOf(name) < index) yield namedTwice(file.placeOf(['groups', group, index]), group, name);
    }
  }
  for (const [log, { target, ...sources }] of Object.entries(data.logs ?? {})) {
    const wrong = check(['logs', log, 'target'], target, 'target', targets);
    if (wrong) yield wrong;
    const said = Object.entries(sources).filter(([, value]) => value !== undefined);
    if (said.length !== 1) yield notOneSource(file.placeOf(['logs', log]), log, said.length);
  }
  for (const [team, { may = {} }] of Object.entries(data.teams ?? {})) {
    for (const verb of GRANT_VERBS) {
      for (const [index, name] of (may[verb] ?? []).entries()) {
        const path = ['teams', team, 'may', verb, index];
        const wrong =
          verb === 'logs'
            ? check(path, name, 'log', [...catalogue.logs.keys()])
            : check(path, name, 'target or group', [...targets, ...groups]);
        if (wrong) yield wrong;
      }
    }
  }
  const { requireReason } = data.policy ?? {};
  for (const [index, name] of (Array.isArray(requireReason) ? requireReason : []).entries()) {
    const wrong = check(['policy', 'requireReason', index], name, 'target or group', [...targets, ...groups]);
    if (wrong) yield wrong;
  }
}

function unknownName(
  place: Place,
  path: readonly PropertyKey[],
  name: string,
  kind: string,
  known: readonly string[],
): CatalogueProblem {
  const where = path.filter((step) => typeof step === 'string').join('.');
  const near = nearestNames(name, known, 3);
  const message = `${where} names "${name}", which is no ${kind}`;
  return { place, message, ...(near.length > 0 && { hint: `did you mean: ${near.join(', ')}` }) };
}

function sameName(place: Place, name: string): CatalogueProblem {
  return { place, message: `"${name}" is a group and a target; a name is one of them` };
}

function namedTwice(place: Place, group: string, name: string): CatalogueProblem {
  return { place, message: `groups.${group} names "${name}" twice` };
}

function notOneSource(place: Place, log: string, count: number): CatalogueProblem {
  const problem = count === 0 ? 'has no source' : 'has several sources';
  return { place, message: `log "${log}" ${problem}; it is one of file, unit or container` };
}

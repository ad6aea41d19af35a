import type { Catalogue } from '../config/catalogue.ts';
import { CloudtunError } from '../domain/errors.ts';
import { nearestNames } from '../domain/nearest.ts';

/**
 * The targets and logs that somebody means: by a name of the catalogue, of a group for all that is in it, or by what the cloud calls
 * a database or machine.
 *
 * @throws CT_TARGET_NOT_FOUND with the nearest names
 */
export function subjectsCalled(catalogue: Catalogue, text: string): readonly string[] {
  const { targets, logs, groups } = catalogue;
  if (targets.has(text) || logs.has(text)) return [text];
  const group = groups.get(text);
  if (group !== undefined) return group;
  const meant = [...targets.values()].filter(
    (target) =>
      (target.kind === 'database' && target.database === text) ||
      (target.kind === 'machine' && target.instance === text) ||
      (target.kind === 'host' && target.host === text),
  );
  if (meant.length > 0) return meant.map(({ name }) => name);
  const near = nearestNames(text, [...targets.keys(), ...logs.keys(), ...groups.keys()]);
  throw new CloudtunError('CT_TARGET_NOT_FOUND', `no target, log or group is named "${text}" in cloudtun.yaml`, {
    hint: [...(near.length > 0 ? [`did you mean: ${near.join(', ')}`] : []), 'see all: cloudtun team check --all'],
  });
}

import { type Catalogue, DATABASE_FORMS, type DatabaseForm } from '../config/catalogue.ts';
import { CloudtunError } from '../domain/errors.ts';
import { nearestNames } from '../domain/nearest.ts';
import { type PlanFlags, planDatabase, planForward, type TunnelPlan } from './tunnel-plan.ts';

/**
 * The plan of a name where no command says what it is (`up`, `exec`, the library): a target of the catalogue, `rds:NAME`,
 * `sql:PROJECT:REGION:NAME`, or a machine with the port of it that is meant, `TARGET:PORT`.
 *
 * @param farPortOf the port in a TARGET that names one by itself, as its cloud reads it (compose.ts)
 * @throws CT_USAGE for a machine without a port; CT_TARGET_NOT_FOUND for a bare name that no catalogue has; what plans throw
 */
export async function planNamed(
  name: string,
  flags: PlanFlags,
  catalogue: Catalogue,
  farPortOf: (target: string) => Promise<number | undefined>,
): Promise<TunnelPlan> {
  if (catalogue.targets.has(name)) return planForward(name, [], flags, catalogue);
  const [, form, rest] = /^(rds|sql):(.+)$/.exec(name) ?? [];
  if (form !== undefined && rest !== undefined) return planDatabase(form as DatabaseForm, rest, flags, catalogue);
  const farPort = await farPortOf(name);
  if (farPort !== undefined) return planForward(name, [], flags, catalogue, farPort);
  const [, machine, port] = /^(.+):(\d{1,5})$/.exec(name) ?? [];
  if (machine !== undefined && Number(port) >= 1 && Number(port) <= 65_535)
    return planForward(machine, [], flags, catalogue, Number(port));
  throw notNamed(name, catalogue);
}

/** Targets and groups, groups replaced by their members, each once, in the order in which they were named. */
export function expandGroups(names: readonly string[], { groups }: Pick<Catalogue, 'groups'>): readonly string[] {
  return [...new Set(names.flatMap((name) => groups.get(name) ?? [name]))];
}

function notNamed(name: string, { targets, groups, files }: Catalogue): CloudtunError {
  const near = nearestNames(name, [...targets.keys(), ...groups.keys()], 3);
  const where = files.length === 0 ? 'there is no cloudtun.yaml' : 'it is not in cloudtun.yaml';
  return new CloudtunError('CT_TARGET_NOT_FOUND', `"${name}" says neither a kind nor a port, and ${where}`, {
    hint: [
      ...(near.length > 0 ? [`did you mean: ${near.join(', ')}`] : []),
      `a database: ${Object.keys(DATABASE_FORMS).join(':NAME or ')}:NAME; a machine with its port: ${name}:80`,
    ],
  });
}

import type { Catalogue } from '../../config/catalogue.ts';
import { type Target, targetLabel } from '../../domain/target.ts';
import type { ListedTarget } from '../../providers/provider.ts';
import type { Place } from './event-json.ts';
import { tableLines } from './table.ts';

/** What `cloudtun targets --json` prints. */
export interface TargetsJson {
  readonly region?: string;
  readonly project?: string;
  readonly profile?: string;
  readonly targets: readonly (ReturnType<typeof targetJson> & {
    readonly reachable: boolean;
    readonly remark: string;
  })[];
  /** Names that the catalogue gives, which may be used like the others. */
  readonly catalogue: readonly { readonly name: string; readonly kind: string }[];
}

export function targetsJson(listed: readonly ListedTarget[], catalogue: Catalogue, place: Place): TargetsJson {
  return {
    ...(place.region !== undefined && { region: place.region }),
    ...(place.project !== undefined && { project: place.project }),
    ...(place.profile !== undefined && { profile: place.profile }),
    targets: listed.map(({ target, reachable, remark }) => ({ ...targetJson(target), reachable, remark })),
    catalogue: [...catalogue.targets.values()].map(({ name, kind }) => ({ name, kind })),
  };
}

/** The table of `cloudtun targets`. */
export function targetsLines(listed: readonly ListedTarget[], catalogue: Catalogue, place: Place): readonly string[] {
  const names = [...catalogue.targets.keys()];
  const fromCatalogue = names.length === 0 ? [] : [`in ${catalogue.files.join(', ')}: ${names.join(', ')}`];
  if (listed.length === 0) return [`nothing found in ${place.label}`, ...fromCatalogue];
  const rows = listed.map(({ target, reachable, remark }) => [
    targetLabel(target),
    target.id === targetLabel(target) ? '-' : target.id,
    target.kind === 'database' ? target.engineLabel : target.kind,
    reachable ? 'yes' : 'no',
    remark,
  ]);
  return [...tableLines(['NAME', 'ID', 'KIND', 'REACHABLE', 'REMARK'], rows), ...fromCatalogue];
}

function targetJson(target: Target) {
  const { provider, kind, id } = target;
  if (target.kind === 'machine') {
    const { name, state, online, agentVersion, privateIp, privateDns } = target;
    return { provider, kind, id, name, state, online, agentVersion, privateIp, privateDns };
  }
  if (target.kind === 'host') {
    const { host, project, region, networkId, group } = target;
    return { provider, kind, id, host, project, region, networkId, group };
  }
  const { flavour, role, engine, engineLabel, endpoint, status } = target;
  return { provider, kind, id, flavour, role, engine, engineLabel, endpoint, status };
}

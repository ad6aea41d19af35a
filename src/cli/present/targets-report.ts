import type { Catalogue } from '../../config/catalogue.ts';
import type { CloudtunError } from '../../domain/errors.ts';
import { type CloudTarget, type ProviderId, targetLabel } from '../../domain/target.ts';
import type { ListedTarget } from '../../providers/provider.ts';
import { errorJson } from './error-json.ts';
import type { Place } from './event-json.ts';
import type { ErrorJson } from './event-schema.ts';
import { tableLines } from './table.ts';

/** What one cloud has, or why it could not be asked. */
export type CloudListing =
  | { readonly id: ProviderId; readonly place: Place; readonly listed: readonly ListedTarget[] }
  | { readonly id: ProviderId; readonly place?: Place; readonly error: CloudtunError };

/** What `cloudtun targets --json` prints. */
export interface TargetsJson {
  /** Of the first cloud that has such a thing; `clouds` has those of each. */
  readonly region?: string;
  readonly project?: string;
  readonly profile?: string;
  readonly targets: readonly (ReturnType<typeof targetJson> & {
    readonly reachable: boolean;
    readonly remark: string;
  })[];
  /** Names that the catalogue gives, which may be used like the others. */
  readonly catalogue: readonly { readonly name: string; readonly kind: string; readonly provider?: ProviderId }[];
  /** Every cloud that was asked. */
  readonly clouds: readonly CloudJson[];
}

interface CloudJson {
  readonly provider: ProviderId;
  readonly region?: string;
  readonly project?: string;
  readonly profile?: string;
  /** Why it could not be asked: its targets are missing. */
  readonly error?: ErrorJson;
}

export function targetsJson(listings: readonly CloudListing[], catalogue: Catalogue): TargetsJson {
  const places = listings.map(({ place }) => placeJson(place)).reverse();
  return {
    ...Object.assign({}, ...places),
    targets: listings.flatMap((listing) => ('listed' in listing ? listing.listed.map(listedJson) : [])),
    catalogue: [...catalogue.targets.values()].map(({ name, kind, cloud }) => ({
      name,
      kind,
      ...(cloud !== undefined && { provider: cloud }),
    })),
    clouds: listings.map((listing) => ({
      provider: listing.id,
      ...placeJson(listing.place),
      ...('error' in listing && { error: errorJson(listing.error) }),
    })),
  };
}

function listedJson({ target, reachable, remark }: ListedTarget) {
  return { ...targetJson(target), reachable, remark };
}

function placeJson(place: Place | undefined): { region?: string; project?: string; profile?: string } {
  return {
    ...(place?.region !== undefined && { region: place.region }),
    ...(place?.project !== undefined && { project: place.project }),
    ...(place?.profile !== undefined && { profile: place.profile }),
  };
}

/** The table of `cloudtun targets`; which cloud a target is in stands there when more than one was asked. */
export function targetsLines(listings: readonly CloudListing[], catalogue: Catalogue): readonly string[] {
  const answers = listings.filter((listing) => 'listed' in listing);
  const names = [...catalogue.targets.keys()];
  const fromCatalogue = names.length === 0 ? [] : [`in ${catalogue.files.join(', ')}: ${names.join(', ')}`];
  const found = answers.flatMap(({ id, listed }) => listed.map((each) => ({ ...each, id })));
  if (found.length === 0) {
    return [`nothing found in ${answers.map(({ place }) => place.label).join(' and ')}`, ...fromCatalogue];
  }
  const isOfSeveral = answers.length > 1;
  const rows = found.map(({ id, target, reachable, remark }) => [
    targetLabel(target),
    target.id === targetLabel(target) ? '-' : target.id,
    ...(isOfSeveral ? [id] : []),
    target.kind === 'database' ? target.engineLabel : target.kind,
    reachable ? 'yes' : 'no',
    remark,
  ]);
  const heading = ['NAME', 'ID', ...(isOfSeveral ? ['CLOUD'] : []), 'KIND', 'REACHABLE', 'REMARK'];
  return [...tableLines(heading, rows), ...fromCatalogue];
}

function targetJson(target: CloudTarget) {
  const { provider, kind, id } = target;
  if (target.kind === 'machine') {
    const { name, state, online, agentVersion, privateIp, privateDns, project, zone } = target;
    return { provider, kind, id, name, state, online, agentVersion, privateIp, privateDns, project, zone };
  }
  if (target.kind === 'host') {
    const { host, project, region, networkId, group } = target;
    return { provider, kind, id, host, project, region, networkId, group };
  }
  const { flavour, role, engine, engineLabel, endpoint, status, project } = target;
  return { provider, kind, id, flavour, role, engine, engineLabel, endpoint, status, project };
}

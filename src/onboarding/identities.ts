import type { Catalogue } from '../config/catalogue.ts';
import { placeIn, type Selection } from '../config/tunnel-settings.ts';
import { asCloudtunError, type CloudtunError } from '../domain/errors.ts';
import { PLACE_KEYS, type PlaceKey, type ProviderId } from '../domain/target.ts';
import type { Identity, Provider } from '../providers/provider.ts';

/** Who somebody is in one place of the catalogue, or why that is not known. */
export type PlaceIdentity = {
  readonly cloud: ProviderId;
  /** `aws prod/ap-northeast-1` */
  readonly label: string;
  readonly selection: Selection;
} & ({ readonly identity: Identity } | { readonly error: CloudtunError });

/**
 * Asks every place that the targets of a catalogue are in who we are there, all at the same time. What cannot be answered is told with the
 * others.
 *
 * @param open makes the provider of a place; whoever hands it in closes it
 */
export async function askIdentities(
  catalogue: Catalogue,
  said: Selection,
  open: (cloud: ProviderId, selection: Selection) => Promise<Provider>,
  signal: AbortSignal,
): Promise<readonly PlaceIdentity[]> {
  const places = placesOf(catalogue, said);
  return Promise.all(
    places.map(async ({ cloud, selection }): Promise<PlaceIdentity> => {
      let label = [cloud, ...Object.values(selection)].join(' ');
      try {
        const provider = await open(cloud, selection);
        label = provider.label;
        return { cloud, label, selection, identity: await provider.gatekeeper.whoami(signal) };
      } catch (thrown) {
        signal.throwIfAborted();
        return { cloud, label, selection, error: asCloudtunError(thrown) };
      }
    }),
  );
}

/** Each account or project of a catalogue once: regions and zones of one are the same person's. */
export function placesOf(
  { targets, defaults }: Catalogue,
  said: Selection,
): readonly { readonly cloud: ProviderId; readonly selection: Selection }[] {
  const places = new Map<string, { cloud: ProviderId; selection: Selection }>();
  for (const target of targets.values()) {
    const cloud = target.kind === 'host' ? (target.cloud ?? target.via[0]?.cloud) : target.cloud;
    if (cloud === undefined) continue;
    const keys: readonly PlaceKey[] = PLACE_KEYS[cloud];
    const known = keys.flatMap((key) => {
      const value = said[key] ?? target[key] ?? defaults[key];
      return value === undefined ? [] : [[key, value] as const];
    });
    const selection = placeIn(cloud, Object.fromEntries(known));
    const whose = selection.profile ?? selection.project ?? '';
    if (!places.has(`${cloud} ${whose}`)) places.set(`${cloud} ${whose}`, { cloud, selection });
  }
  return [...places.values()];
}

import type { PlaceKey, ProviderId } from '../domain/target.ts';
import type { CloudNames } from '../providers/provider.ts';
import type { World } from '../runtime/world.ts';

/** What is known of the cloud a user means before any is asked. */
export interface CloudQuestion {
  /** Said by the command, the catalogue or a prefix. */
  readonly cloud?: ProviderId | undefined;
  /** A TARGET without its cloud prefix. */
  readonly target?: string | undefined;
  /** What flags or the target's own entry say of the place: `--project` means one cloud, `--profile` another. */
  readonly said: Readonly<Partial<Record<PlaceKey, string>>>;
  /** The same with the defaults of the catalogue: whoever has a default for a cloud uses it. */
  readonly selection: Readonly<Partial<Record<PlaceKey, string>>>;
}

export type CloudTable = Readonly<Record<ProviderId, CloudNames>>;

export interface Candidates {
  /** At least one, in the order of the table. */
  readonly ids: readonly ProviderId[];
  /** Nothing is set up for any cloud, so this is no more than a guess. */
  readonly isGuess: boolean;
}

/**
 * The clouds a target may be in, by what was said, by how its name is written, and by what is set up on this machine, the surer
 * before the less sure. With one candidate nobody is asked (broker/settle-cloud.ts).
 */
export function candidateClouds(
  clouds: CloudTable,
  question: CloudQuestion,
  world: Pick<World, 'env' | 'paths'>,
): Candidates {
  const { cloud, target, said, selection } = question;
  if (cloud !== undefined) return { ids: [cloud], isGuess: false };
  const ids = Object.keys(clouds) as ProviderId[];
  const claims = new Map(ids.map((id) => [id, target === undefined ? 'maybe' : clouds[id].claims(target)]));
  const sure = ids.filter((id) => claims.get(id) === 'surely');
  if (sure.length > 0) return { ids: sure, isGuess: false };
  const possible = orAll(
    ids.filter((id) => claims.get(id) !== 'no'),
    ids,
  );
  const names = (id: ProviderId, place: CloudQuestion['said']) =>
    clouds[id].ownKeys.some((key) => place[key] !== undefined);
  const meant = possible.filter((id) => names(id, said));
  if (meant.length > 0) return { ids: meant, isGuess: false };
  const inUse = possible.filter((id) => names(id, selection) || clouds[id].isConfigured(world));
  if (inUse.length > 0) return { ids: inUse, isGuess: false };
  return { ids: possible.slice(0, 1), isGuess: possible.length > 1 };
}

const orAll = <Value>(some: readonly Value[], all: readonly Value[]) => (some.length > 0 ? some : all);

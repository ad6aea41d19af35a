import type { Catalogue } from '../config/catalogue.ts';
import { placeIn, type Selection } from '../config/tunnel-settings.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { Grant } from '../domain/grant.ts';
import { PLACE_KEYS, type PlaceKey, PROVIDER_IDS, type ProviderId } from '../domain/target.ts';
import type { PolicyAuthor, PolicyDraft, PolicyDrafter, PolicyFacts } from '../providers/policy-author.ts';
import type { Identity, Provider } from '../providers/provider.ts';
import { catalogueGrants, type GrantProblem } from './grants.ts';
import { changesBetween, fingerprint, type PolicyComparison } from './policy-changes.ts';

/** What tells one set of permissions from another in a cloud; undefined where cloudtun writes none for it. */
export type PolicyKeys = (cloud: ProviderId) => readonly PlaceKey[] | undefined;

/** Grants of one cloud that are written together: one account, one project. */
export interface GrantGroup {
  readonly cloud: ProviderId;
  /** Where the provider of the group looks. */
  readonly selection: Selection;
  /** The place of each completed by flags and defaults. */
  readonly grants: readonly Grant[];
}

/** One group, compared with what is there. */
export interface PlanPart extends GrantGroup, PolicyComparison {
  readonly author: PolicyAuthor;
  /** Who would apply it; undefined where the cloud does not say. */
  readonly identity: Identity | undefined;
  readonly facts: PolicyFacts;
  readonly draft: PolicyDraft;
}

/** One group, drafted without asking. */
export interface DraftedPart extends GrantGroup {
  readonly drafter: PolicyDrafter;
  readonly facts: PolicyFacts;
  readonly draft: PolicyDraft;
}

export interface TeamPlan {
  readonly parts: readonly PlanPart[];
  readonly problems: readonly GrantProblem[];
  /** Changes when the plan or what it was worked out from does. */
  readonly fingerprint: string;
}

export interface PlanQuestion {
  readonly catalogue: Catalogue;
  /** What flags say of the place. */
  readonly said: Selection;
  /** This one alone. */
  readonly cloud?: ProviderId;
}

/**
 * The grants of a catalogue by where they are written. Places of which the catalogue has targets and gives nothing (any more) are there
 * as well, where it has teams: what was made for them before is to go.
 */
export function grantGroups(
  { catalogue, said, cloud: only }: PlanQuestion,
  keysOf: PolicyKeys,
): { readonly groups: readonly GrantGroup[]; readonly problems: readonly GrantProblem[] } {
  const { grants, problems } = catalogueGrants(catalogue);
  const groups = new Map<string, { cloud: ProviderId; selection: Selection; grants: Grant[] }>();
  const groupOf = (cloud: ProviderId, place: Selection) => {
    const keys = keysOf(cloud);
    if (keys === undefined || (only !== undefined && only !== cloud)) return undefined;
    const selection = selectionAt(cloud, place, said, catalogue);
    const key = [cloud, ...keys.map((one) => selection[one] ?? '')].join('\n');
    const found = groups.get(key) ?? { cloud, selection, grants: [] };
    groups.set(key, found);
    return { ...found, selection };
  };
  for (const grant of grants) {
    const { cloud, place } = grant.subject;
    const group = groupOf(cloud, place);
    group?.grants.push({ ...grant, subject: { ...grant.subject, place: group.selection } });
  }
  if (catalogue.teams.size > 0) {
    for (const target of catalogue.targets.values()) {
      const cloud = target.kind === 'host' ? (target.cloud ?? target.via[0]?.cloud) : target.cloud;
      if (cloud !== undefined) groupOf(cloud, target);
    }
  }
  const order = [...groups.values()].sort(
    (one, two) => PROVIDER_IDS.indexOf(one.cloud) - PROVIDER_IDS.indexOf(two.cloud),
  );
  return { groups: order, problems };
}

/** Flags over the target's own place over the defaults, as everywhere (spec section 4). */
function selectionAt(
  cloud: ProviderId,
  place: Readonly<Partial<Record<PlaceKey, string | undefined>>>,
  said: Selection,
  { defaults }: Catalogue,
): Selection {
  const keys: readonly PlaceKey[] = PLACE_KEYS[cloud];
  const own = keys.flatMap((key) => {
    const value = said[key] ?? place[key] ?? defaults[key];
    return value === undefined ? [] : [[key, value] as const];
  });
  return placeIn(cloud, Object.fromEntries(own));
}

/**
 * Asks every cloud that the catalogue gives something in, and says what would have to be done. Changes nothing.
 *
 * @param open makes the provider of a group; whoever hands it in closes it
 * @throws CT_CONFIG where two groups turn out to be one account; what providers throw
 */
export async function planTeams(
  question: PlanQuestion,
  keysOf: PolicyKeys,
  open: (cloud: ProviderId, selection: Selection) => Promise<Provider>,
  signal: AbortSignal,
): Promise<TeamPlan> {
  const { groups, problems } = grantGroups(question, keysOf);
  const parts = await Promise.all(
    groups.map(async (group) => planGroup(group, await open(group.cloud, group.selection), question, signal)),
  );
  const seen = new Map<string, PlanPart>();
  for (const part of parts) {
    const scope = `${part.cloud} ${part.draft.scope}`;
    const other = seen.get(scope);
    if (other !== undefined) throw sameScope(part, other);
    seen.set(scope, part);
  }
  const compared = parts.map((part) => ({ ...part, scope: `${part.cloud} ${part.draft.scope}` }));
  return { parts, problems, fingerprint: fingerprint(compared) };
}

/** The same without asking anybody: what the drafts need is made up from the names, and said to be (`PolicyDrafter.assume`). */
export async function draftTeams(
  question: PlanQuestion,
  keysOf: PolicyKeys,
  drafterOf: (cloud: ProviderId) => Promise<PolicyDrafter>,
): Promise<{ readonly parts: readonly DraftedPart[]; readonly problems: readonly GrantProblem[] }> {
  const { groups, problems } = grantGroups(question, keysOf);
  const parts = await Promise.all(
    groups.map(async (group) => {
      const drafter = await drafterOf(group.cloud);
      const facts = drafter.assume(group.grants);
      return { ...group, drafter, facts, draft: drafter.draft(group.grants, facts, question.catalogue.name) };
    }),
  );
  return { parts, problems };
}

async function planGroup(
  group: GrantGroup,
  provider: Provider,
  { catalogue }: PlanQuestion,
  signal: AbortSignal,
): Promise<PlanPart> {
  const author = await provider.policies?.();
  if (author === undefined)
    throw new CloudtunError('CT_INTERNAL', `${provider.label} has keys for permissions and writes none`);
  const [facts, identity] = await Promise.all([
    author.survey(group.grants, signal),
    provider.gatekeeper.whoami(signal).catch(() => undefined),
  ]);
  const draft = author.drafter.draft(group.grants, facts, catalogue.name);
  const current = await author.read(draft, facts, signal);
  return { ...group, author, identity, facts, draft, ...changesBetween(draft, current) };
}

function sameScope(one: GrantGroup & { readonly draft: PolicyDraft }, two: GrantGroup): CloudtunError {
  const words = ({ selection }: GrantGroup) => Object.values(selection).join('/') || 'the default';
  return new CloudtunError('CT_CONFIG', `${words(one)} and ${words(two)} are both ${one.draft.place}`, {
    hint: 'name it in one way in cloudtun.yaml: permissions of one account are written together',
  });
}

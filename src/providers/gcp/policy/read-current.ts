import { createHash } from 'node:crypto';
import { OWN_PREFIX } from '../../../domain/pinned-name.ts';
import type { CurrentResource, JsonValue, PolicyDraft } from '../../policy-author.ts';
import { listDestinationGroups } from '../destination-groups.ts';
import type { GcpApi } from '../gcp-api.ts';
import { isDenial } from '../gcp-errors.ts';
import { listMachines } from '../machines.ts';
import { accountResource, bindingId, bindingSummary, isOwnCondition, type OwnBinding } from './bindings.ts';
import { ownTitle, viewerName } from './drafter.ts';
import type { GcpFacts } from './facts.ts';
import type { GroupContent, GroupStore } from './group-store.ts';
import { listAccounts, listSecrets } from './own-places.ts';
import { type AllowPolicy, ownBindings, readPolicy } from './policy-store.ts';
import type { RoleStore } from './role-store.ts';

/** Machines whose policies are looked at for what was made before: two calls for each. */
const MACHINE_LIMIT = 500;
const SIDE_BY_SIDE = 8;

export interface Stores {
  readonly roles: RoleStore;
  readonly groups: GroupStore;
}

/**
 * What is there of a draft, and what is ours and not in it: bindings are known by the titles of their conditions, so every place that may
 * have one is looked at.
 */
export async function readCurrent(
  api: GcpApi,
  { roles, groups }: Stores,
  draft: PolicyDraft,
  facts: GcpFacts,
  signal: AbortSignal,
): Promise<readonly CurrentResource[]> {
  const title = ownTitle(draft.owner);
  const wanted = draft.resources.flatMap(({ kind, content }) =>
    kind === 'binding' ? [(content as unknown as OwnBinding).resource] : [],
  );
  const likely = await likelyPlaces(api, facts.project, signal);
  const places = [...new Set([...wanted, ...likely.filter((each) => !isNamedByNumber(each, wanted))])];
  const policies = new Map<string, AllowPolicy>();
  const bindings = (
    await sideBySide(places, async (resource) => {
      const policy = await readPolicy(api, resource, signal).catch((error: unknown) => {
        // What may not be read in a place where nothing is wanted is not looked for there.
        if (wanted.includes(resource) || !isDenial(error)) throw error;
        return undefined;
      });
      if (policy === undefined) return [];
      policies.set(resource, policy);
      return ownBindings(resource, policy, title);
    })
  ).flat();
  return [
    ...currentBindings(bindings, draft, facts),
    ...(await currentRole(roles, facts.project, draft.owner, signal)),
    ...(await currentGroups(api, groups, draft, { bindings, policies }, facts, signal)),
  ];
}

/** Everything in a project that a binding of ours may be on. */
async function likelyPlaces(api: GcpApi, project: string, signal: AbortSignal): Promise<readonly string[]> {
  const machines = await listMachines(api, project, undefined, signal).catch(unlessDenied);
  if (machines.length > MACHINE_LIMIT)
    api.warn(`${project} has ${machines.length} machines; ${MACHINE_LIMIT} are looked at for permissions of before`);
  const groups = await listDestinationGroups(api, project, '-', signal).catch(unlessDenied);
  // A machine that is gone or runs as another account leaves the right to act as its account behind.
  const listed = await listAccounts(api, project, signal).catch(unlessDenied);
  const accounts = new Set([...machines.flatMap(({ serviceAccounts }) => serviceAccounts), ...listed]);
  const secrets = await listSecrets(api, project, signal).catch(unlessDenied);
  return [
    `projects/${project}`,
    ...machines.slice(0, MACHINE_LIMIT).flatMap(({ target: { id } }) => {
      const [own = project, zone = '', instance = ''] = id.split('/');
      return [
        `projects/${own}/iap_tunnel/zones/${zone}/instances/${instance}`,
        `projects/${own}/zones/${zone}/instances/${instance}`,
      ];
    }),
    ...groups.map(({ region, name }) => `projects/${project}/iap_tunnel/locations/${region}/destGroups/${name}`),
    ...[...accounts].slice(0, MACHINE_LIMIT).map((email) => accountResource(email, project)),
    ...secrets,
  ];
}

/** A secret that the catalogue names by the number of its project is not looked at a second time under another name. */
const isNamedByNumber = (place: string, wanted: readonly string[]) =>
  place.includes('/secrets/') &&
  wanted.some((each) => /^projects\/[0-9]+\//.test(each) && each.split('/secrets/')[1] === place.split('/secrets/')[1]);

function unlessDenied(error: unknown): never[] {
  if (isDenial(error)) return [];
  throw error;
}

const versionOf = (content: object) => createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 16);

/**
 * Of several conditions under one title, the one that is wanted stands for it, and the others are there beside it: somebody added them,
 * and they give what they say.
 */
function currentBindings(
  bindings: readonly OwnBinding[],
  draft: PolicyDraft,
  facts: GcpFacts,
): readonly CurrentResource[] {
  const wanted = new Map(
    draft.resources.flatMap(({ id, kind, content }) =>
      kind === 'binding' ? [[id, (content as unknown as OwnBinding).condition.expression] as const] : [],
    ),
  );
  const groups = Map.groupBy(bindings, (binding) => bindingId(binding, facts));
  return [...groups].flatMap(([id, those]) => {
    const [first, ...more] = those.toSorted(
      (one, two) =>
        Number(two.condition.expression === wanted.get(id)) - Number(one.condition.expression === wanted.get(id)),
    );
    return [
      currentBinding(id, first!, facts),
      ...more.map((each) => currentBinding(`${id}#${versionOf(each)}`, each, facts)),
    ];
  });
}

function currentBinding(id: string, binding: OwnBinding, facts: GcpFacts): CurrentResource {
  return {
    id,
    kind: 'binding',
    name: binding.condition.title,
    summary: bindingSummary(binding),
    content: binding as unknown as JsonValue,
    isOurs: true,
    version: versionOf(binding),
    // The role and the group that it leans on go after it.
    after: [roleId(binding.role, facts), groupId(binding.resource, facts)].filter((each) => each !== undefined),
    ...(!isOwnCondition(binding.condition.expression) && {
      remark: `edited by hand: its condition is ${binding.condition.expression}`,
    }),
  };
}

const roleId = (role: string, { project }: GcpFacts) =>
  role.startsWith('projects/') ? `${project}/role/${role.split('/').at(-1)}` : undefined;

function groupId(resource: string, { project }: GcpFacts): string | undefined {
  const [, region, name] = /\/iap_tunnel\/locations\/([^/]+)\/destGroups\/([^/]+)$/.exec(resource) ?? [];
  return name === undefined ? undefined : `${project}/${region}/destGroup/${name}`;
}

async function currentRole(
  roles: RoleStore,
  project: string,
  owner: string,
  signal: AbortSignal,
): Promise<readonly CurrentResource[]> {
  const name = viewerName(project, owner);
  const found = await roles.read(name, signal);
  if (found === undefined) return [];
  const { etag, ...content } = found;
  const id = name.split('/').at(-1)!;
  return [
    {
      id: `${project}/role/${id}`,
      kind: 'role',
      name: id,
      summary: `${content.permissions.length} permissions to look targets up`,
      content: content as unknown as JsonValue,
      isOurs: content.description.startsWith(`cloudtun/${owner}:`),
      version: etag,
      after: [],
    },
  ];
}

/**
 * Groups of ours have no mark but their name and the bindings on them. One on which others gave something too is left as it is, and is a
 * conflict where it would have to hold other hosts: who was given them would reach something else.
 */
async function currentGroups(
  api: GcpApi,
  groups: GroupStore,
  draft: PolicyDraft,
  {
    bindings,
    policies,
  }: { readonly bindings: readonly OwnBinding[]; readonly policies: ReadonlyMap<string, AllowPolicy> },
  facts: GcpFacts,
  signal: AbortSignal,
): Promise<readonly CurrentResource[]> {
  const title = ownTitle(draft.owner);
  const wanted = new Map(
    draft.resources.flatMap(({ kind, content }) =>
      kind === 'destination group'
        ? [[(content as unknown as GroupContent).name, canonicalHosts(content)] as const]
        : [],
    ),
  );
  const drafted = draft.resources.flatMap(({ kind, content }) =>
    kind === 'destination group' ? [(content as unknown as GroupContent).name] : [],
  );
  const known = bindings.flatMap(({ resource }) =>
    groupId(resource, facts) !== undefined && resource.split('/').at(-1)!.startsWith(OWN_PREFIX) ? [resource] : [],
  );
  const found = await sideBySide([...new Set([...drafted, ...known])], (name) => groups.read(name, signal));
  warnOfLeftovers(api, policies, [...drafted, ...known]);
  return found.flatMap((group) => {
    if (group === undefined) return [];
    const name = group.name.split('/').at(-1)!;
    const others = (policies.get(group.name)?.bindings ?? []).filter(
      ({ condition }) => !condition?.title.startsWith(title),
    );
    const content = group as unknown as JsonValue;
    const isOurs = others.length === 0 || wanted.get(group.name) === canonicalHosts(content);
    // Not wanted, and others lean on it: it stays, and is nobody's conflict.
    if (!isOurs && !wanted.has(group.name)) return [];
    return [
      {
        id: groupId(group.name, facts)!,
        kind: 'destination group',
        name,
        summary: [...group.cidrs, ...group.fqdns].join(', '),
        content,
        isOurs,
        version: versionOf(group),
        after: [],
      },
    ];
  });
}

function canonicalHosts(content: JsonValue): string {
  const { cidrs, fqdns } = content as unknown as GroupContent;
  return JSON.stringify([cidrs, fqdns].map((hosts) => [...hosts].sort()));
}

/** Whose a group without any binding was, nobody can tell: an application that was interrupted leaves one behind at most. */
function warnOfLeftovers(api: GcpApi, policies: ReadonlyMap<string, AllowPolicy>, kept: readonly string[]): void {
  for (const [resource, { bindings = [] }] of policies) {
    const name = resource.split('/').at(-1)!;
    if (!resource.includes('/destGroups/') || !name.startsWith(OWN_PREFIX)) continue;
    if (bindings.length === 0 && !kept.includes(resource))
      api.warn(`the destination group ${name} is given to nobody: delete it if no other catalogue is just making it`);
  }
}

async function sideBySide<Each, Result>(
  all: readonly Each[],
  run: (each: Each) => Promise<Result>,
): Promise<readonly Result[]> {
  const results = new Map<Each, Result>();
  const waiting = [...all];
  const work = async () => {
    for (let each = waiting.shift(); each !== undefined; each = waiting.shift()) results.set(each, await run(each));
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, work));
  return all.map((each) => results.get(each) as Result);
}

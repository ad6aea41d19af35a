import { createHash } from 'node:crypto';
import { CloudtunError } from '../../../domain/errors.ts';
import { OWN_PREFIX } from '../../../domain/pinned-name.ts';
import type { CurrentResource, JsonValue, PolicyDraft } from '../../policy-author.ts';
import { listDestinationGroups } from '../destination-groups.ts';
import type { GcpApi } from '../gcp-api.ts';
import { listMachines } from '../machines.ts';
import { bindingId, bindingSummary, type OwnBinding } from './bindings.ts';
import { ownTitle, viewerName } from './drafter.ts';
import type { GcpFacts } from './facts.ts';
import type { GroupContent, GroupStore } from './group-store.ts';
import { ownBindings, readPolicy } from './policy-store.ts';
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
  const places = [...new Set([...wanted, ...(await likelyPlaces(api, facts.project, signal))])];
  const bindings = (
    await sideBySide(places, async (resource) => {
      const policy = await readPolicy(api, resource, signal).catch((error: unknown) => {
        // What may not be read in a place where nothing is wanted is not looked for there.
        if (wanted.includes(resource) || !isDenied(error)) throw error;
        return undefined;
      });
      return policy === undefined ? [] : ownBindings(resource, policy, title);
    })
  ).flat();
  return [
    ...bindings.map((binding) => currentBinding(binding, facts)),
    ...(await currentRole(roles, facts.project, draft.owner, signal)),
    ...(await currentGroups(groups, draft, bindings, facts, signal)),
  ];
}

const isDenied = (error: unknown) => error instanceof CloudtunError && error.code === 'CT_DENIED';

/** Everything in a project that a binding of ours may be on. */
async function likelyPlaces(api: GcpApi, project: string, signal: AbortSignal): Promise<readonly string[]> {
  const machines = await listMachines(api, project, undefined, signal).catch(unlessDenied);
  if (machines.length > MACHINE_LIMIT)
    api.warn(`${project} has ${machines.length} machines; ${MACHINE_LIMIT} are looked at for permissions of before`);
  const groups = await listDestinationGroups(api, project, '-', signal).catch(unlessDenied);
  const accounts = new Set(machines.flatMap(({ serviceAccounts }) => serviceAccounts));
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
    ...[...accounts].map((email) => `projects/${project}/serviceAccounts/${email}`),
  ];
}

function unlessDenied(error: unknown): never[] {
  if (isDenied(error)) return [];
  throw error;
}

const versionOf = (content: object) => createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 16);

function currentBinding(binding: OwnBinding, facts: GcpFacts): CurrentResource {
  return {
    id: bindingId(binding, facts),
    kind: 'binding',
    name: binding.condition.title,
    summary: bindingSummary(binding),
    content: binding as unknown as JsonValue,
    isOurs: true,
    version: versionOf(binding),
    // The role and the group that it leans on go after it.
    after: [roleId(binding.role, facts), groupId(binding.resource, facts)].filter((each) => each !== undefined),
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
      isOurs: content.description.startsWith(`cloudtun/${owner}`),
      version: etag,
      after: [],
    },
  ];
}

/** Groups of ours have no mark but their name; one that is not wanted any more is ours where a binding of ours is on it. */
async function currentGroups(
  groups: GroupStore,
  draft: PolicyDraft,
  bindings: readonly OwnBinding[],
  facts: GcpFacts,
  signal: AbortSignal,
): Promise<readonly CurrentResource[]> {
  const drafted = draft.resources.flatMap(({ kind, content }) =>
    kind === 'destination group' ? [(content as unknown as GroupContent).name] : [],
  );
  const known = bindings.flatMap(({ resource }) =>
    groupId(resource, facts) !== undefined && resource.split('/').at(-1)!.startsWith(OWN_PREFIX) ? [resource] : [],
  );
  const found = await sideBySide([...new Set([...drafted, ...known])], (name) => groups.read(name, signal));
  return found.flatMap((group) => {
    if (group === undefined) return [];
    const name = group.name.split('/').at(-1)!;
    return [
      {
        id: groupId(group.name, facts)!,
        kind: 'destination group',
        name,
        summary: [...group.cidrs, ...group.fqdns].join(', '),
        content: group as unknown as JsonValue,
        isOurs: true,
        version: versionOf(group),
        after: [],
      },
    ];
  });
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

import { createHash } from 'node:crypto';
import type { CelAttributes } from '../../../onboarding/core/cel-condition.ts';
import { evaluateGcp, type GcpBinding, type GcpVerdict } from '../../../onboarding/core/gcp-evaluator.ts';
import type { World } from '../../../runtime/world.ts';
import type { GcpInventory } from '../inventory.ts';
import { mayDo } from '../permissions.ts';

/** An allow policy as it is kept. */
export interface StoredPolicy {
  readonly bindings: readonly GcpBinding[];
  readonly etag: string;
  readonly auditConfigs: readonly object[];
}

export interface CustomRole {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly stage: string;
  readonly includedPermissions: readonly string[];
  readonly etag: string;
  readonly deleted: boolean;
}

const NO_POLICY: StoredPolicy = { bindings: [], etag: 'ACAB', auditConfigs: [] };

/**
 * Who may do what in the lab's Google Cloud. Switched off, everybody that the inventory knows may do everything but what it denies them.
 * Switched on, bindings decide: at first `admin@example.com` owns every project and nobody else has anything.
 */
export class GcpIam {
  enforce = false;
  readonly #world: Pick<World, 'clock' | 'random'>;
  readonly #inventory: () => GcpInventory;
  readonly #policies = new Map<string, StoredPolicy>();
  readonly #groups = new Map<string, ReadonlySet<string>>();
  readonly #accessLevels = new Map<string, readonly string[]>();
  readonly roles = new Map<string, CustomRole>();

  constructor(world: Pick<World, 'clock' | 'random'>, inventory: () => GcpInventory) {
    this.#world = world;
    this.#inventory = inventory;
    for (const { id } of inventory().projects) {
      const bindings = [{ role: 'roles/owner', members: ['user:admin@example.com'] }];
      this.#policies.set(`projects/${id}`, { bindings, etag: this.#newEtag(), auditConfigs: [] });
    }
  }

  /** Who is in a group: people and other groups, by their addresses. */
  setGroup(group: string, members: readonly string[]): void {
    this.#groups.set(group.toLowerCase(), new Set(members.map((one) => one.toLowerCase())));
  }

  /** Access levels that a person meets. */
  setAccessLevels(email: string, levels: readonly string[]): void {
    this.#accessLevels.set(email, levels);
  }

  accessLevelsOf(email: string): readonly string[] {
    return this.#accessLevels.get(email) ?? [];
  }

  policy(resource: string): StoredPolicy {
    return this.#policies.get(this.canonical(resource)) ?? NO_POLICY;
  }

  setPolicy(resource: string, bindings: readonly GcpBinding[], auditConfigs: readonly object[] = []): StoredPolicy {
    const stored = { bindings, auditConfigs, etag: this.#newEtag() };
    this.#policies.set(this.canonical(resource), stored);
    return stored;
  }

  /** Adds one binding; for tests. */
  bind(resource: string, binding: GcpBinding): void {
    const { bindings, auditConfigs } = this.policy(resource);
    this.setPolicy(resource, [...bindings, binding], auditConfigs);
  }

  /** @param resource `projects/…`, `users/…` for somebody's own profile, or the address of a service account */
  may(email: string, permission: string, resource: string, attributes: CelAttributes = {}): boolean {
    const inventory = this.#inventory();
    if (!this.enforce) return mayDo(inventory, email, permission, resource);
    const isKnown = inventory.people.some((one) => one.email === email);
    // Nobody needs a role for their own login profile.
    if (resource === `users/${email}`) return isKnown;
    return isKnown && this.judge(email, permission, resource, attributes).decision === 'allowed';
  }

  /** The whole verdict, by bindings alone. */
  judge(email: string, permission: string, asked: string, attributes: CelAttributes = {}): GcpVerdict {
    const resource = this.canonical(asked);
    const isAccount = email.endsWith('.gserviceaccount.com');
    const custom = [...this.roles.values()].filter(({ deleted }) => !deleted);
    const held = ({ stage, includedPermissions }: CustomRole) => (stage === 'DISABLED' ? [] : includedPermissions);
    return evaluateGcp(
      (one) => this.#policies.get(one)?.bindings ?? [],
      Object.fromEntries(custom.map((role) => [role.name, held(role)])),
      {
        who: { email, kind: isAccount ? 'serviceAccount' : 'user', groups: this.#groupsOf(email) },
        permission,
        resource,
        attributes: {
          time: this.#world.clock.wall(),
          accessLevels: this.accessLevelsOf(email),
          ...(permission.startsWith('iap.') ? {} : { resourceName: resource }),
          ...attributes,
        },
      },
    );
  }

  /** With the id of the project and the names of machines, where numbers may stand too. */
  canonical(resource: string): string {
    if (resource.includes('@') && !resource.includes('/')) {
      const [, project = '-'] = /@([^.]+)\.iam\.gserviceaccount\.com$/.exec(resource) ?? [];
      return `projects/${project}/serviceAccounts/${resource}`;
    }
    const inventory = this.#inventory();
    const [, project, rest = ''] = /^projects\/([^/]+)(.*)$/s.exec(resource) ?? [];
    if (project === undefined) return resource;
    const id = inventory.projects.find((one) => one.number === project)?.id ?? project;
    const named = rest.replace(/\/instances\/([^/]+)$/, (whole, machine: string) => {
      const found = inventory.instances.find((one) => one.project === id && one.id === machine);
      return found === undefined ? whole : `/instances/${found.name}`;
    });
    return `projects/${id}${named}`;
  }

  /** Direct groups and the groups that those are in. */
  #groupsOf(email: string): readonly string[] {
    const found = new Set<string>();
    const queue = [email.toLowerCase()];
    for (let one = queue.pop(); one !== undefined; one = queue.pop()) {
      for (const [group, members] of this.#groups) {
        if (!members.has(one) || found.has(group)) continue;
        found.add(group);
        queue.push(group);
      }
    }
    return [...found];
  }

  #newEtag(): string {
    return createHash('sha256').update(this.#world.random.bytes(16)).digest('base64').slice(0, 11);
  }
}

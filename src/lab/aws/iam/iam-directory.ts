import type { Millis } from '../../../domain/millis.ts';
import type { IamPolicies } from '../../../onboarding/core/iam-evaluator.ts';
import { type IamPolicy, readIamPolicy } from '../../../onboarding/core/iam-policy.ts';
import type { World } from '../../../runtime/world.ts';
import type { Principal } from '../principals.ts';

export type EntityKind = 'user' | 'role' | 'group';

export interface PolicyVersion {
  readonly id: string;
  readonly document: string;
  readonly createdAt: Millis;
}

/** A customer managed policy, or one of AWS's own. */
export interface ManagedPolicy {
  readonly arn: string;
  readonly name: string;
  readonly path: string;
  readonly policyId: string;
  readonly description: string;
  readonly createdAt: Millis;
  updatedAt: Millis;
  versions: readonly PolicyVersion[];
  defaultVersion: string;
  /** Number of the next version; numbers are never used again. */
  nextVersion: number;
  readonly tags: Map<string, string>;
}

/** What is attached to a user, a role or a group. */
export interface Entity {
  readonly kind: EntityKind;
  readonly name: string;
  readonly attached: Set<string>;
  /** Name → document. */
  readonly inline: Map<string, string>;
  readonly tags: Map<string, string>;
  /** Of a user: the groups that it is in. */
  readonly groups: Set<string>;
  /** ARN of a managed policy. */
  boundary: string | undefined;
}

const AWS_POLICIES: Readonly<Record<string, object>> = {
  AdministratorAccess: { Effect: 'Allow', Action: '*', Resource: '*' },
  ReadOnlyAccess: {
    Effect: 'Allow',
    Action: [
      'ssm:Get*',
      'ssm:Describe*',
      'ssm:List*',
      'ec2:Describe*',
      'rds:Describe*',
      'rds:List*',
      'iam:Get*',
      'iam:List*',
      'cloudtrail:LookupEvents',
    ],
    Resource: '*',
  },
};

/** Who has which policies: what the IAM API reads and writes and the gate judges by. Starts with an administrator and nothing else. */
export class IamDirectory {
  readonly policies = new Map<string, ManagedPolicy>();
  readonly #entities = new Map<string, Entity>();
  readonly #world: Pick<World, 'clock' | 'random'>;

  constructor(world: Pick<World, 'clock' | 'random'>) {
    this.#world = world;
    for (const [name, statement] of Object.entries(AWS_POLICIES)) {
      const document = JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
      this.addPolicy({ arn: `arn:aws:iam::aws:policy/${name}`, name, path: '/', description: '', document });
    }
    this.entity('user', 'admin').attached.add('arn:aws:iam::aws:policy/AdministratorAccess');
  }

  /** Made when it is first asked for: which users and roles there are is the inventory's business. */
  entity(kind: EntityKind, name: string): Entity {
    const key = `${kind}/${name}`;
    const found = this.#entities.get(key);
    if (found !== undefined) return found;
    const made: Entity = {
      kind,
      name,
      attached: new Set(),
      inline: new Map(),
      tags: new Map(),
      groups: new Set(),
      boundary: undefined,
    };
    this.#entities.set(key, made);
    return made;
  }

  entities(): readonly Entity[] {
    return [...this.#entities.values()];
  }

  addPolicy(
    fields: Pick<ManagedPolicy, 'arn' | 'name' | 'path' | 'description'> & { document: string },
  ): ManagedPolicy {
    const now = this.#world.clock.wall();
    const { document, ...names } = fields;
    const policy: ManagedPolicy = {
      ...names,
      policyId: `ANPA${this.#world.random.bytes(9).toString('hex').toUpperCase().slice(0, 17)}`,
      createdAt: now,
      updatedAt: now,
      versions: [{ id: 'v1', document, createdAt: now }],
      defaultVersion: 'v1',
      nextVersion: 2,
      tags: new Map(),
    };
    this.policies.set(policy.arn, policy);
    return policy;
  }

  addVersion(policy: ManagedPolicy, document: string, isDefault: boolean): PolicyVersion {
    const version = { id: `v${policy.nextVersion}`, document, createdAt: this.#world.clock.wall() };
    policy.nextVersion += 1;
    policy.versions = [...policy.versions, version];
    policy.updatedAt = version.createdAt;
    if (isDefault) policy.defaultVersion = version.id;
    return version;
  }

  /** The user or role that a signed-in principal is. */
  entityOf(principal: Principal): Entity {
    const [, kind, name = ''] = /:(user|assumed-role)\/([^/]+)/.exec(principal.arn) ?? [];
    return this.entity(kind === 'user' ? 'user' : 'role', name);
  }

  /** Everything that decides about a principal. */
  policiesOf(principal: Principal): IamPolicies {
    const { sessionPolicy } = principal;
    return {
      ...this.policiesOfEntity(this.entityOf(principal)),
      ...(sessionPolicy === undefined ? {} : { session: [read('session policy', sessionPolicy)] }),
    };
  }

  policiesOfEntity(entity: Entity): IamPolicies {
    const holders = [entity, ...[...entity.groups].map((name) => this.entity('group', name))];
    const boundary = entity.boundary === undefined ? undefined : this.#managed(entity.boundary);
    return {
      identity: holders.flatMap((holder) => [
        ...[...holder.attached].flatMap((arn) => this.#managed(arn) ?? []),
        ...[...holder.inline].map(([name, document]) => read(`inline ${name}`, document)),
      ]),
      // A boundary that is not there any more lets nothing through.
      ...(entity.boundary === undefined
        ? {}
        : { boundary: boundary ?? { name: entity.boundary, hasVariables: true, statements: [] } }),
    };
  }

  #managed(arn: string): IamPolicy | undefined {
    const policy = this.policies.get(arn);
    const version = policy?.versions.find(({ id }) => id === policy.defaultVersion);
    return policy && version && read(policy.name, version.document);
  }
}

/** Documents are checked before they are kept; one that got in otherwise says nothing. */
function read(name: string, document: string): IamPolicy {
  const found = readIamPolicy(name, document);
  return found.ok ? found.policy : { name, hasVariables: true, statements: [] };
}

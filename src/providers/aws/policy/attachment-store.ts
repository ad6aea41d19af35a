import type { Millis } from '../../../domain/millis.ts';
import type { Clock } from '../../../runtime/clock.ts';
import type { CurrentResource, PolicyChange, PolicyDraft } from '../../policy-author.ts';
import type { AwsApi } from '../aws-api.ts';
import type { AttachmentContent } from './marks.ts';
import { allPages } from './pages.ts';
import type { PermissionSets } from './permission-sets.ts';
import { changing, isAnswer } from './refusals.ts';
import { sideBySide } from './side-by-side.ts';
import { setOfRole, ssoRoles } from './sso-roles.ts';

/** Guessed: IAM takes seconds to tell all of itself. */
const TRIES = 6;
const BETWEEN_TRIES: Millis = 2_000;

/** Who has our policies: users, roles and permission sets. Whoever has a policy of ours has it by us. */
export class AttachmentStore {
  readonly #api: AwsApi;
  readonly #clock: Clock;
  readonly #sets: PermissionSets;
  readonly #account: string;
  readonly #arnOf: (policy: string) => string;

  constructor(api: AwsApi, clock: Clock, sets: PermissionSets, account: string, arnOf: (policy: string) => string) {
    this.#api = api;
    this.#clock = clock;
    this.#sets = sets;
    this.#account = account;
    this.#arnOf = arnOf;
  }

  /** @param policies ours that there are. Identity Center is asked only where a permission set is meant or was. */
  async read(
    draft: PolicyDraft,
    policies: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly CurrentResource[]> {
    const wanted = draft.resources
      .filter(({ kind }) => kind === 'attachment')
      .map(({ content }) => content as unknown as AttachmentContent);
    const held = (await sideBySide(policies, (policy) => this.#holders(policy, signal))).flat();
    const inSets = held.filter(({ kind }) => kind === 'permissionSet');
    const sets = new Set([...wanted, ...inSets].flatMap(({ kind, name }) => (kind === 'permissionSet' ? [name] : [])));
    const plain = held.filter(({ kind }) => kind !== 'permissionSet').map((each) => this.#current(each));
    if (sets.size === 0) return plain;
    const [roles, isVisible] = await Promise.all([ssoRoles(this.#api, signal), this.#sets.isVisible(signal)]);
    const ofSets = await Promise.all(
      [...sets].map(async (name) => {
        const held = inSets.flatMap((each) => (each.name === name ? [each.policy] : []));
        // Seen from another account than the one of Identity Center: what was provisioned here is what its role has.
        const references = isVisible ? await this.#sets.references(name, signal) : held;
        return policies.flatMap((policy): readonly CurrentResource[] => {
          const isReferred = references.includes(policy);
          const isHeld = held.includes(policy);
          if (!isReferred && !isHeld) return [];
          // Of a set that nobody has in this account there is no role: it comes with the first assignment.
          const isWhole = isReferred && (isHeld || !roles.has(name));
          return [this.#current({ kind: 'permissionSet', name, policy }, isWhole)];
        });
      }),
    );
    return [...plain, ...ofSets.flat()];
  }

  /** @throws CT_POLICY_REFUSED, CT_TARGET_NOT_FOUND, CT_DENIED … */
  async apply(change: PolicyChange, signal: AbortSignal): Promise<void> {
    const { content } = 'wanted' in change ? change.wanted : change.current;
    const { kind, name, policy } = content as unknown as AttachmentContent;
    if (kind === 'permissionSet') return this.#applyToSet(name, policy, change.op === 'remove', signal);
    return change.op === 'remove' ? this.#detach(kind, name, policy, signal) : this.#attach(kind, name, policy, signal);
  }

  async #applyToSet(name: string, policy: string, isRemoval: boolean, signal: AbortSignal): Promise<void> {
    if (isRemoval) await this.#sets.detach(name, policy, signal);
    else await this.#sets.attach(name, policy, signal);
    if ((await ssoRoles(this.#api, signal)).has(name)) await this.#sets.provision(name, signal);
  }

  async #attach(kind: string, name: string, policy: string, signal: AbortSignal): Promise<void> {
    const PolicyArn = this.#arnOf(policy);
    const isUser = kind === 'user';
    const call = {
      action: isUser ? 'iam:AttachUserPolicy' : 'iam:AttachRolePolicy',
      resource: `${kind}/${name}`,
      doing: `attach ${policy} to ${kind} ${name}`,
    };
    const attach = () =>
      this.#api.iam(call, signal, async (sdk, client, options) => {
        if (isUser) await client.send(new sdk.AttachUserPolicyCommand({ UserName: name, PolicyArn }), options);
        else await client.send(new sdk.AttachRolePolicyCommand({ RoleName: name, PolicyArn }), options);
      });
    await changing(`${policy} for ${kind} ${name}`, async () => {
      for (let left = TRIES; ; left -= 1) {
        try {
          return await attach();
        } catch (error) {
          // IAM is consistent in the end: a policy that was made a moment ago may not be known everywhere yet.
          if (left === 1 || !isAnswer(error, 'NoSuchEntity')) throw error;
          await this.#clock.sleep(BETWEEN_TRIES, signal);
        }
      }
    });
  }

  async #detach(kind: string, name: string, policy: string, signal: AbortSignal): Promise<void> {
    const PolicyArn = this.#arnOf(policy);
    const isUser = kind === 'user';
    const call = {
      action: isUser ? 'iam:DetachUserPolicy' : 'iam:DetachRolePolicy',
      resource: `${kind}/${name}`,
      doing: `detach ${policy} from ${kind} ${name}`,
    };
    const detach = () =>
      this.#api.iam(call, signal, async (sdk, client, options) => {
        if (isUser) await client.send(new sdk.DetachUserPolicyCommand({ UserName: name, PolicyArn }), options);
        else await client.send(new sdk.DetachRolePolicyCommand({ RoleName: name, PolicyArn }), options);
      });
    await changing(`${policy} for ${kind} ${name}`, () =>
      detach().catch((error: unknown) => {
        // Gone already, or the person is.
        if (!isAnswer(error, 'NoSuchEntity')) throw error;
      }),
    );
  }

  async #holders(policy: string, signal: AbortSignal): Promise<readonly AttachmentContent[]> {
    const call = {
      action: 'iam:ListEntitiesForPolicy',
      resource: `policy/${policy}`,
      doing: `see who has the policy ${policy}`,
    };
    return this.#api.iam(call, signal, (sdk, client, options) =>
      allPages(async (marker) => {
        const answer = await client.send(
          new sdk.ListEntitiesForPolicyCommand({
            PolicyArn: this.#arnOf(policy),
            ...(marker !== undefined && { Marker: marker }),
          }),
          options,
        );
        const users = (answer.PolicyUsers ?? []).flatMap(({ UserName }) => UserName ?? []);
        const roles = (answer.PolicyRoles ?? []).flatMap(({ RoleName }) => RoleName ?? []);
        const groups = (answer.PolicyGroups ?? []).flatMap(({ GroupName }) => GroupName ?? []);
        const items = [
          ...users.map((name) => ({ kind: 'user', name, policy })),
          ...roles.map((role) => {
            const set = setOfRole(role);
            return set === undefined
              ? { kind: 'role', name: role, policy }
              : { kind: 'permissionSet', name: set, policy };
          }),
          ...groups.map((name) => ({ kind: 'group', name, policy })),
        ];
        return { items, next: answer.Marker };
      }),
    );
  }

  /** @param isWhole false for a permission set of which the role in this account is not up to date yet */
  #current(content: AttachmentContent, isWhole = true): CurrentResource {
    const { kind, name, policy } = content;
    return {
      id: `${this.#account}/${kind}/${name}/${policy}`,
      kind: 'attachment',
      name: `${policy} to ${kind} ${name}`,
      summary: isWhole ? 'attached' : 'not provisioned to this account yet',
      content: { kind, name, policy, ...(!isWhole && { provisioned: false }) },
      // Nothing of ours is ever attached to a group: whoever did that undoes it.
      isOurs: kind !== 'group',
      version: isWhole ? 'attached' : 'not provisioned',
      after: [`${this.#account}/policy/${policy}`],
    };
  }
}

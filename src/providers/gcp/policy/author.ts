import { CloudtunError } from '../../../domain/errors.ts';
import type { Grant } from '../../../domain/grant.ts';
import type {
  CurrentResource,
  ForeignPolicy,
  Judgement,
  Person,
  PolicyAuthor,
  PolicyChange,
  PolicyDraft,
  PolicyFacts,
} from '../../policy-author.ts';
import type { Logins } from '../../provider.ts';
import type { GcpApi } from '../gcp-api.ts';
import { bindingSummary, type OwnBinding } from './bindings.ts';
import { asGcpFacts, gcpPolicyDrafter } from './drafter.ts';
import type { GcpFacts } from './facts.ts';
import { type GroupContent, GroupStore } from './group-store.ts';
import { foreignPolicies } from './others.ts';
import { changePolicy, hasOther, withMember, withoutMember } from './policy-store.ts';
import { readCurrent } from './read-current.ts';
import { type RoleContent, RoleStore } from './role-store.ts';
import { surveyGcp } from './survey.ts';

/** Reads and writes bindings, destination groups and the viewer role of one project. */
export class GcpPolicyAuthor implements PolicyAuthor {
  readonly drafter = gcpPolicyDrafter;
  readonly #api: GcpApi;
  readonly #roles: RoleStore;
  readonly #groups: GroupStore;
  readonly #logins: Pick<Logins, 'access'>;

  constructor(api: GcpApi, logins: Pick<Logins, 'access'>) {
    this.#api = api;
    this.#logins = logins;
    this.#roles = new RoleStore(api);
    this.#groups = new GroupStore(api);
  }

  survey(grants: readonly Grant[], signal: AbortSignal): Promise<GcpFacts> {
    return surveyGcp(this.#api, this.#logins, grants, signal);
  }

  read(draft: PolicyDraft, facts: PolicyFacts, signal: AbortSignal): Promise<readonly CurrentResource[]> {
    const stores = { roles: this.#roles, groups: this.#groups };
    return readCurrent(this.#api, stores, draft, asGcpFacts(facts), signal);
  }

  async apply(change: PolicyChange, _facts: PolicyFacts, signal: AbortSignal): Promise<void> {
    const { kind } = 'wanted' in change ? change.wanted : change.current;
    const before = 'current' in change ? change.current : undefined;
    const after = 'wanted' in change ? change.wanted.content : undefined;
    if (kind === 'role') return this.#roles.change(before, after as RoleContent | undefined, signal);
    if (kind === 'destination group') return this.#groups.change(before, after as GroupContent | undefined, signal);
    return this.#changeBinding(before?.content as OwnBinding | undefined, after as OwnBinding | undefined, signal);
  }

  others(person: Person, facts: PolicyFacts, signal: AbortSignal): Promise<readonly ForeignPolicy[]> {
    return foreignPolicies(this.#api, this.#roles, person, asGcpFacts(facts), signal);
  }

  /** `testIamPermissions` answers for the caller alone, and the Policy Troubleshooter wants rights on everything above the project. */
  async simulate(): Promise<Judgement | undefined> {
    return undefined;
  }

  /** A change of an expression is one write: nobody is without it in between. */
  async #changeBinding(
    before: OwnBinding | undefined,
    after: OwnBinding | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const resource = (after ?? before)?.resource ?? '';
    await changePolicy(
      this.#api,
      resource,
      (bindings, isFirst) => {
        const known = [before, after].filter((each) => each !== undefined);
        // Somebody gave it another condition since it was read: seen first, and then decided on.
        const isTouched = before === undefined || withoutMember(bindings, before) === undefined;
        if (isFirst && isTouched && hasOther(bindings, known)) throw changed(known[0]!);
        const isDone = after !== undefined && withMember(bindings, after) === undefined;
        const less = before === undefined ? undefined : withoutMember(bindings, before);
        // Gone already, by an application that was interrupted; or by somebody who changed it.
        if (before !== undefined && less === undefined && after !== undefined && !isDone) throw changed(before);
        const base = less ?? bindings;
        const more = after === undefined ? undefined : withMember(base, after);
        return more ?? less;
      },
      after === undefined,
      signal,
    );
  }
}

function changed(binding: OwnBinding): CloudtunError {
  return new CloudtunError('CT_POLICY_CHANGED', `${bindingSummary(binding)} was changed by somebody else meanwhile`, {
    hint: 'look again: cloudtun team plan',
  });
}

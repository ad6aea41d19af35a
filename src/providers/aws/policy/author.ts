import type { Grant, Principal } from '../../../domain/grant.ts';
import type { MachineTarget } from '../../../domain/target.ts';
import type { World } from '../../../runtime/world.ts';
import type {
  AccessAttempt,
  CurrentResource,
  ForeignPolicy,
  Judgement,
  Person,
  PolicyAuthor,
  PolicyChange,
  PolicyDraft,
  PolicyFacts,
} from '../../policy-author.ts';
import type { Identity } from '../../provider.ts';
import type { AwsApi } from '../aws-api.ts';
import { AttachmentStore } from './attachment-store.ts';
import type { AwsAttempt } from './attempts.ts';
import { DocumentStore } from './document-store.ts';
import { asAwsFacts, awsPolicyDrafter } from './drafter.ts';
import type { AwsFacts } from './facts.ts';
import { PermissionSets } from './permission-sets.ts';
import { identityOf } from './person-identity.ts';
import { PolicyStore } from './policy-store.ts';
import { holderOf, policiesOf } from './principal-policies.ts';
import { simulateAttempt } from './simulate.ts';
import { askedFor, surveyAws } from './survey.ts';

/** What the author needs of the provider beside its API. */
export interface AuthorParts {
  readonly world: World;
  readonly api: AwsApi;
  whoami(signal: AbortSignal): Promise<Identity>;
  guessUser(api: AwsApi, machine: MachineTarget, signal: AbortSignal): Promise<{ user: string; reason: string }>;
}

interface Stores {
  readonly documents: DocumentStore;
  readonly policies: PolicyStore;
  readonly attachments: AttachmentStore;
}

/** Permissions of one AWS account: asks what is there, and changes what cloudtun made (docs/security/iam.md). */
export class AwsPolicyAuthor implements PolicyAuthor {
  readonly drafter = awsPolicyDrafter;
  readonly #parts: AuthorParts;
  #stores: { readonly account: string; readonly stores: Stores; readonly sets: PermissionSets } | undefined;

  constructor(parts: AuthorParts) {
    this.#parts = parts;
  }

  async survey(grants: readonly Grant[], signal: AbortSignal): Promise<PolicyFacts> {
    const { api, whoami, guessUser } = this.#parts;
    const { account, id } = await whoami(signal);
    const partition = id.split(':')[1] || 'aws';
    const [facts] = await Promise.all([
      surveyAws(grants, { api, account, partition, guessUser }, signal),
      this.#checkPrincipals(grants, account, partition, signal),
    ]);
    return facts;
  }

  async read(draft: PolicyDraft, facts: PolicyFacts, signal: AbortSignal): Promise<readonly CurrentResource[]> {
    const known = asAwsFacts(facts);
    const { documents, policies, attachments } = this.#storesOf(known);
    const wanted = (kind: string) =>
      new Set(draft.resources.flatMap((each) => (each.kind === kind ? [each.name] : [])));
    const regions = new Set([
      known.region,
      ...Object.values(known.subjects).map(({ region }) => region),
      ...draft.resources.flatMap(({ kind, id }) => (kind === 'document' ? [id.split('/')[1]!] : [])),
    ]);
    const [ofRegions, found] = await Promise.all([
      Promise.all([...regions].map((region) => documents.read(region, wanted('document'), draft.owner, signal))),
      policies.read(wanted('policy'), draft.owner, signal),
    ]);
    const ours = found.filter(({ isOurs }) => isOurs).map(({ name }) => name);
    const those = ofRegions.flat();
    // Policies name documents: they go first.
    const leaning = found.map((each) => ({ ...each, after: those.map(({ id }) => id) }));
    return [...those, ...leaning, ...(await attachments.read(draft, ours, signal))];
  }

  async apply(change: PolicyChange, facts: PolicyFacts, signal: AbortSignal): Promise<void> {
    const { documents, policies, attachments } = this.#storesOf(asAwsFacts(facts));
    const { kind } = 'wanted' in change ? change.wanted : change.current;
    if (kind === 'document') return documents.apply(change, signal);
    return kind === 'policy' ? policies.apply(change, signal) : attachments.apply(change, signal);
  }

  async others({ principal }: Person, _facts: PolicyFacts, signal: AbortSignal): Promise<readonly ForeignPolicy[]> {
    const { api } = this.#parts;
    return policiesOf(api, await holderOf(api, principal, signal), signal);
  }

  async simulate(
    person: Person,
    attempt: AccessAttempt,
    facts: PolicyFacts,
    signal: AbortSignal,
  ): Promise<Judgement | undefined> {
    const { api, world } = this.#parts;
    const holder = await holderOf(api, person.principal, signal);
    const about = { facts: asAwsFacts(facts), at: world.clock.wall() };
    return simulateAttempt(api, holder, identityOf(person), attempt as AwsAttempt, about, signal);
  }

  /** Permissions for nobody are a misspelt name. */
  async #checkPrincipals(
    grants: readonly Grant[],
    account: string,
    partition: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { sets } = this.#storesFor(account, partition);
    const check = async ({ kind, name }: Principal): Promise<void> => {
      if (kind === 'permissionSet') {
        if (await sets.isVisible(signal)) await sets.find(name, signal);
      } else await holderOf(this.#parts.api, { cloud: 'aws', kind, name }, signal);
    };
    const byPrincipal = new Map(grants.map((grant) => [`${grant.principal.kind} ${grant.principal.name}`, grant]));
    for (const grant of byPrincipal.values()) await askedFor(grant, () => check(grant.principal));
  }

  #storesOf({ account, partition }: AwsFacts): Stores {
    return this.#storesFor(account, partition).stores;
  }

  #storesFor(account: string, partition: string) {
    if (this.#stores?.account === account) return this.#stores;
    const { api, world } = this.#parts;
    const policies = new PolicyStore(api, account, partition);
    const sets = new PermissionSets(api, world.clock, account);
    const attachments = new AttachmentStore(api, world.clock, sets, account, (name) => policies.arn(name));
    this.#stores = { account, sets, stores: { documents: new DocumentStore(api, account), policies, attachments } };
    return this.#stores;
  }
}

import type { Grant, GrantVerb, Principal } from '../domain/grant.ts';
import type { ProviderId } from '../domain/target.ts';

/*
 * From grants of the catalogue to what a cloud enforces, in two halves:
 *
 *   PolicyDrafter   pure, without credentials: what should be there, what it allows, the same as files   (`Cloud.policyDrafter`)
 *   PolicyAuthor    asks and changes the cloud                                                           (`Provider.policies`)
 *
 *   const facts = await author.survey(grants, signal);         // or drafter.assume(grants), offline
 *   const draft = drafter.draft(grants, facts);
 *   const current = await author.read(draft, signal);
 *   for (const change of changesBetween(draft, current)) await author.apply(change, signal);             // onboarding/core
 *
 * What is compared is `content`, as canonical JSON; so `draft` and `read` write the same thing in the same words.
 */

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** What the drafts of one cloud need to know beyond the catalogue: accounts, endpoints, ids. Opaque to everybody else. */
export type PolicyFacts = unknown;

/** One thing in the cloud, as it should be. */
export interface PolicyResource {
  /** Stable and unique in its cloud: `111122223333/ap-northeast-1/document/cloudtun-prod`. */
  readonly id: string;
  /** For people: `document`, `policy`, `attachment`, `binding`, `role`, `group`. */
  readonly kind: string;
  readonly name: string;
  /** Whose it is, where it is one team's alone. */
  readonly team?: string;
  /** The target or log that it is about, where it is one. */
  readonly subject?: string;
  /** One line for people: `Port, orders-prod...:3306, fixed`. */
  readonly summary: string;
  readonly content: JsonValue;
  /** Ids that have to be there before it, and that go after it. */
  readonly after: readonly string[];
  /** How much of what the cloud allows it takes: characters, mostly. */
  readonly size?: { readonly used: number; readonly limit: number; readonly unit: string };
}

/** Something that whoever signs this should know before: `socks` opens everything, nothing ends, a trap of `iam.md` 4.3. */
export interface PolicyNotice {
  /** `loud`: it is nearly never what one wants. */
  readonly level: 'loud' | 'warning' | 'remark';
  /** Stable, for programs: `open-host-document`, `no-expiry`, `shell-left-open`, `self-service-tag`, `union`, `agent-refuses`, `port-missing`. */
  readonly code: string;
  readonly team?: string;
  readonly subject?: string;
  readonly text: string;
}

/** All that the grants ask of one cloud. */
export interface PolicyDraft {
  readonly cloud: ProviderId;
  /** For people: `AWS 111122223333 ap-northeast-1`. */
  readonly place: string;
  /** What it is about, once: the account, the project. Two drafts for one scope would undo each other. */
  readonly scope: string;
  /** Of which catalogue; it is in the mark of everything that is made, and nothing with another one is ever touched. */
  readonly owner: string;
  readonly resources: readonly PolicyResource[];
  readonly notices: readonly PolicyNotice[];
}

/** One thing in the cloud, as it is. */
export interface CurrentResource {
  readonly id: string;
  readonly kind: string;
  readonly name: string;
  readonly summary: string;
  readonly content: JsonValue;
  /** It carries the mark of cloudtun; anything else is never changed and never removed. */
  readonly isOurs: boolean;
  /** What tells one state of it from the next (etag, version, hash), so that nothing is written over unseen. */
  readonly version: string;
  /** Ids that it is removed before. */
  readonly after: readonly string[];
  /** Found changed by other hands than ours: `edited by hand since version 3`. */
  readonly remark?: string;
}

export type PolicyChange =
  | { readonly op: 'add'; readonly wanted: PolicyResource }
  | { readonly op: 'change'; readonly wanted: PolicyResource; readonly current: CurrentResource }
  | { readonly op: 'remove'; readonly current: CurrentResource };

/** Who is asked about: a principal of the catalogue, and the person behind it. */
export interface Person {
  readonly principal: Principal;
  /** `alice@example.com`; a role session name is made of it where the cloud has such. */
  readonly name: string;
  /**
   * The person's other principals in this cloud. They count where a cloud takes all that somebody is at once (groups of Google Cloud),
   * and not where one of them is taken on at a time (roles of AWS).
   */
  readonly also?: readonly Principal[];
}

/** Something that a person may try. */
export interface AccessAttempt {
  /** Stable and unique in its cloud: `connect prod`, `shell bastion-a`, `change document cloudtun-prod`. */
  readonly id: string;
  /** The grant that would allow it; undefined for what nobody is given: shells, other documents, edits. */
  readonly verb?: GrantVerb;
  /** The target or log. */
  readonly subject: string;
  /** For people: `open prod (orders-prod...:3306) through bastion-a with document cloudtun-prod`. */
  readonly text: string;
}

/** What one statement or binding had to say. */
export interface StatementWord {
  /** Where it is: the resource's name, or that of a foreign policy. */
  readonly policy: string;
  /** Sid, or title of the condition. */
  readonly statement: string;
  readonly effect: 'allow' | 'deny';
  readonly counts: boolean;
  /** For people, no full stop: `document/cloudtun-orders is none of its resources`. */
  readonly reason: string;
}

export interface Judgement {
  readonly decision: 'allowed' | 'denied' | 'unknown';
  /** The calls that it takes, each with its answer; all have to be allowed. */
  readonly calls: readonly {
    readonly action: string;
    readonly resource: string;
    readonly decision: 'allowed' | 'denied' | 'unknown';
    /** Those that decided, or came near. */
    readonly words: readonly StatementWord[];
  }[];
}

/** Policies of a principal that cloudtun did not draft, in the cloud's own form; they are judged together with the draft. */
export interface ForeignPolicy {
  readonly name: string;
  readonly content: JsonValue;
}

export interface ExportFile {
  /** Relative path: `readers/policy-cloudtun-readers.json`, `main.tf`. */
  readonly path: string;
  readonly text: string;
}

/** The pure half: no credentials, no calls. */
export interface PolicyDrafter {
  /** Stand-ins for what the cloud would say, marked as such in texts (account 000000000000, endpoints made of names): for checks in CI. */
  assume(grants: readonly Grant[]): PolicyFacts;
  /** @param owner the name of the catalogue */
  draft(grants: readonly Grant[], facts: PolicyFacts, owner: string): PolicyDraft;
  /** Everything worth trying at what the grants are about, granted to this or another one: each verb on each subject, and the ways around. */
  attempts(grants: readonly Grant[], facts: PolicyFacts): readonly AccessAttempt[];
  /** @param at wall time; @param others what else the person has */
  judge(
    draft: PolicyDraft,
    facts: PolicyFacts,
    person: Person,
    attempt: AccessAttempt,
    options: { readonly at: number; readonly others?: readonly ForeignPolicy[] },
  ): Judgement;
  /** The draft as files for review. */
  files(draft: PolicyDraft, format: 'json' | 'terraform'): readonly ExportFile[];
}

/** The half that talks to the cloud. All methods throw CloudtunError (CT_DENIED names the missing action). */
export interface PolicyAuthor {
  readonly drafter: PolicyDrafter;
  /** Looks up what the drafts need. Reads only. @throws CT_TARGET_NOT_FOUND with the team and target that ask for it */
  survey(grants: readonly Grant[], signal: AbortSignal): Promise<PolicyFacts>;
  /** What is there: everything of the draft that exists, and everything of cloudtun's that the draft does not have. Reads only. */
  read(draft: PolicyDraft, facts: PolicyFacts, signal: AbortSignal): Promise<readonly CurrentResource[]>;
  /**
   * Makes one change and proves it by what the cloud answers. Safe to repeat after an interruption at any point.
   *
   * @throws CT_POLICY_CHANGED when what is there is not what `current` says; CT_DENIED, CT_POLICY_REFUSED
   */
  apply(change: PolicyChange, facts: PolicyFacts, signal: AbortSignal): Promise<void>;
  /** What the principal has beside ours: attached and inline policies, groups; bindings of the project. Reads only. */
  others(person: Person, facts: PolicyFacts, signal: AbortSignal): Promise<readonly ForeignPolicy[]>;
  /** The cloud's own simulator about one attempt; undefined where it has none for this. Reads only. */
  simulate(
    person: Person,
    attempt: AccessAttempt,
    facts: PolicyFacts,
    signal: AbortSignal,
  ): Promise<Judgement | undefined>;
}

import { GRANT_VERBS, type Grant, type Principal } from '../../src/domain/grant.ts';
import type {
  AccessAttempt,
  Judgement,
  PolicyDraft,
  PolicyDrafter,
  PolicyResource,
} from '../../src/providers/policy-author.ts';

/** Something that a fake cloud allows or denies whatever was drafted: `allow readers shell bastion`. */
export interface FakeRule {
  readonly effect: 'allow' | 'deny' | 'unknown';
  readonly principal: string;
  readonly attempt: string;
}

interface FakeStatement {
  readonly principal: string;
  readonly attempt: string;
  readonly until?: number;
}

/**
 * A cloud whose permissions are the grants themselves: a statement for each, judged by principal, attempt and end. A test adds what
 * the draft got wrong.
 *
 * @param cumulative whether a person is all of the principals at once
 */
export function fakeDrafter(rules: readonly FakeRule[] = [], cumulative = false): PolicyDrafter {
  const statements = (draft: PolicyDraft) => draft.resources.map(({ content }) => content as unknown as FakeStatement);
  return {
    assume: () => ({}),
    draft: (grants, _facts, owner) => ({
      cloud: grants[0]?.subject.cloud ?? 'aws',
      place: `${grants[0]?.subject.cloud ?? 'aws'} assumed`,
      scope: JSON.stringify(grants[0]?.subject.place ?? {}),
      owner,
      resources: grants.map(resourceOf),
      notices: [],
    }),
    attempts: (grants) => {
      const subjects = new Map(
        grants.map(({ subject, verb }) => [`${verb === 'logs'} ${subject.name}`, { subject, isLog: verb === 'logs' }]),
      );
      return [...subjects.values()].flatMap(({ subject, isLog }): readonly AccessAttempt[] => [
        ...GRANT_VERBS.filter((verb) => (verb === 'logs') === isLog).map((verb) => ({
          id: `${verb} ${subject.name}`,
          verb,
          subject: subject.name,
          text: `${verb} ${subject.name} (${subject.database ?? subject.host ?? subject.machine})`,
        })),
        { id: `shell ${subject.name}`, subject: subject.name, text: `start a shell at ${subject.name}` },
      ]);
    },
    judge: (draft, _facts, person, attempt, { at, others = [] }) => {
      const principals = [person.principal, ...(cumulative ? (person.also ?? []) : [])].map(nameOf);
      const found = statements(draft).find(
        (one) =>
          principals.includes(one.principal) &&
          one.attempt === attempt.id &&
          (one.until ?? Number.POSITIVE_INFINITY) > at,
      );
      const foreign = others.find(({ content }) => content === attempt.id);
      const rule = rules.find((one) => one.principal === person.principal.name && one.attempt === attempt.id);
      if (rule !== undefined)
        return judgement(
          attempt,
          rule.effect === 'allow' ? 'allowed' : rule.effect === 'deny' ? 'denied' : 'unknown',
          'leak',
        );
      return judgement(attempt, found || foreign ? 'allowed' : 'denied', foreign?.name ?? (found ? 'own' : undefined));
    },
    files: () => [],
  };
}

const nameOf = ({ kind, name }: Principal) => `${kind} ${name}`;

function resourceOf({ team, principal, verb, subject, until }: Grant): PolicyResource {
  const attempt = `${verb} ${subject.name}`;
  return {
    id: `${team} ${nameOf(principal)} ${attempt}`,
    kind: 'statement',
    name: attempt,
    team,
    subject: subject.name,
    summary: attempt,
    content: { principal: nameOf(principal), attempt, ...(until !== undefined && { until }) },
    after: [],
  };
}

function judgement(attempt: AccessAttempt, decision: Judgement['decision'], policy: string | undefined): Judgement {
  const words =
    policy === undefined
      ? []
      : [
          {
            policy,
            statement: 'One',
            effect: decision === 'denied' ? ('deny' as const) : ('allow' as const),
            counts: true,
            reason: 'it fits',
          },
        ];
  return { decision, calls: [{ action: 'fake:Do', resource: attempt.id, decision, words }] };
}

import { yamlLines } from '../../config/yaml-lines.ts';
import type { GrantVerb } from '../../domain/grant.ts';
import { type Access, endOfAccess } from '../../onboarding/access.ts';
import type { AccessAdvice } from '../../onboarding/access-advice.ts';
import type { AccessAnswer } from '../../onboarding/access-answer.ts';
import type { AccessChange } from '../../onboarding/access-difference.ts';
import type { TeamCheck } from '../../onboarding/check.ts';
import type { CheckScope } from '../../onboarding/check-scope.ts';
import type { Finding } from '../../onboarding/findings.ts';
import type { TeamPerson } from '../../onboarding/people.ts';
import type { Judgement } from '../../providers/policy-author.ts';
import { isoTime } from '../../runtime/iso-time.ts';

/** What `team check --json` prints. */
export interface TeamCheckJson {
  /** As of when. */
  readonly at: string;
  /** Whether the clouds were asked. */
  readonly live: boolean;
  readonly people: readonly TeamPerson[];
  /** Of everybody together, without what is denied and not listed, unless `--all`. */
  readonly access: readonly AccessJson[];
  readonly findings: readonly Finding[];
  /** Of `team check PERSON TARGET`; more than one where TARGET is a group. */
  readonly answers?: readonly AnswerJson[];
  /** Of `--against`. */
  readonly changes?: readonly AccessChange[];
  readonly against?: string;
}

interface AnswerJson {
  readonly person: string;
  readonly subject: string;
  readonly allowed: boolean;
  readonly verbs: readonly GrantVerb[];
  /** Why nobody can be given it. */
  readonly impossible?: string;
  /** What would give it, the smallest change first; each with the lines of cloudtun.yaml. */
  readonly advice: readonly (AccessAdvice & { readonly lines: readonly string[] })[];
}

interface AccessJson {
  readonly person: string;
  readonly cloud: string;
  readonly place: string;
  /** Stable in its cloud: `connect prod`. */
  readonly id: string;
  /** Absent for what nobody is given: shells, other documents, edits. */
  readonly verb?: GrantVerb;
  readonly subject: string;
  readonly text: string;
  readonly decision: Judgement['decision'];
  readonly listed: boolean;
  readonly teams: readonly string[];
  readonly until?: string;
  /** Call by call, for one person alone. */
  readonly ways?: Access['ways'];
}

function answerJson({ person, subject, allowed, verbs, impossible, advice }: AccessAnswer): AnswerJson {
  const withLines = advice.map((one) => ({ ...one, lines: yamlLines(one.path, one.value) }));
  return {
    person: person.name,
    subject,
    allowed,
    verbs,
    ...(impossible !== undefined && { impossible }),
    advice: withLines,
  };
}

function accessJson(access: Access, isDetailed: boolean): AccessJson {
  const { person, cloud, place, attempt, decision, listed, ways } = access;
  const end = endOfAccess(access);
  return {
    person: person.name,
    cloud,
    place,
    id: attempt.id,
    ...(attempt.verb !== undefined && { verb: attempt.verb }),
    subject: attempt.subject,
    text: attempt.text,
    decision,
    listed: listed.length > 0,
    teams: [...new Set(listed.map(({ team }) => team))],
    ...(end !== undefined && { until: isoTime(end) }),
    ...(isDetailed && { ways }),
  };
}

export interface CheckParts {
  readonly at: string;
  readonly isLive: boolean;
  /** What is denied to everybody too. */
  readonly isAll: boolean;
  readonly check: TeamCheck;
  readonly scope: CheckScope;
  readonly access: readonly Access[];
  readonly findings: readonly Finding[];
  readonly answers: readonly AccessAnswer[] | undefined;
  readonly other: { readonly label: string; readonly changes: readonly AccessChange[] } | undefined;
}

export function teamCheckJson({
  at,
  isLive,
  isAll,
  check,
  scope,
  access,
  findings,
  answers,
  other,
}: CheckParts): TeamCheckJson {
  const { person } = scope;
  return {
    at,
    live: isLive,
    people: check.people.filter(({ name }) => person === undefined || name === person.name),
    access: access
      .filter((one) => person !== undefined || isAll || one.decision !== 'denied' || one.listed.length > 0)
      .map((one) => accessJson(one, person !== undefined)),
    findings,
    ...(answers !== undefined && { answers: answers.map(answerJson) }),
    ...(other !== undefined && { against: other.label, changes: other.changes }),
  };
}

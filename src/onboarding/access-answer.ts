import type { Catalogue } from '../config/catalogue.ts';
import type { GrantVerb } from '../domain/grant.ts';
import type { Millis } from '../domain/millis.ts';
import type { Access } from './access.ts';
import { type AccessAdvice, accessAdvice, verbsFor } from './access-advice.ts';
import { subjectOf } from './grants.ts';
import type { TeamPerson } from './people.ts';

/** Whether one person may reach one thing, by what, and what would make it so. */
export interface AccessAnswer {
  readonly person: TeamPerson;
  readonly subject: string;
  readonly allowed: boolean;
  /** What was asked about: one verb, or all that the thing can be given with, the usual one first. */
  readonly verbs: readonly GrantVerb[];
  /** Why nobody can be given it, where there is no such verb on it: `prod is a database, and ssh needs a machine`. */
  readonly impossible?: string;
  /** About this person and this thing. */
  readonly access: readonly Access[];
  /** Empty where it is allowed, and where nothing can give it. */
  readonly advice: readonly AccessAdvice[];
}

/** More ways than these to give one thing are no advice. */
const MOST_ADVICE = 2;

/** @param verb this one alone; otherwise any of those that the thing can be given with is a yes. Pure. */
export function accessAnswer(
  catalogue: Catalogue,
  person: TeamPerson,
  subject: string,
  all: readonly Access[],
  { at, verb }: { readonly at: Millis; readonly verb?: GrantVerb },
): AccessAnswer {
  const possible = verbsFor(catalogue, subject);
  const verbs = verb === undefined ? possible : possible.filter((one) => one === verb);
  const access = all.filter(
    ({ person: { name }, attempt }) =>
      name === person.name &&
      attempt.subject === subject &&
      (verb === undefined || attempt.verb === undefined || attempt.verb === verb),
  );
  const allowed = access.some(({ attempt, decision }) => attempt.verb !== undefined && decision === 'allowed');
  const [first] = verbs;
  const isListed = access.some(({ listed }) => listed.length > 0);
  const advice =
    allowed || isListed || first === undefined
      ? []
      : accessAdvice(catalogue, person, first, subject, at).slice(0, MOST_ADVICE);
  const impossible = first === undefined ? subjectOf(verb ?? 'connect', subject, catalogue) : undefined;
  return { person, subject, allowed, verbs, access, advice, ...(typeof impossible === 'string' && { impossible }) };
}

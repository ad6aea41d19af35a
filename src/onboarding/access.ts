import type { Grant, Principal } from '../domain/grant.ts';
import type { Millis } from '../domain/millis.ts';
import type { ProviderId } from '../domain/target.ts';
import type { AccessAttempt, ForeignPolicy, Judgement, Person } from '../providers/policy-author.ts';
import { samePrincipal, type TeamPerson } from './people.ts';
import type { DraftedPart } from './team-plan.ts';

/** What one person may do with one thing, by the rules of the cloud it is in, and what the catalogue says of it. */
export interface Access {
  readonly person: TeamPerson;
  readonly cloud: ProviderId;
  /** For people: `AWS 111122223333 ap-northeast-1`. */
  readonly place: string;
  readonly attempt: AccessAttempt;
  readonly decision: Judgement['decision'];
  /** Grants of the person's teams that list it and have not ended. */
  readonly listed: readonly Grant[];
  /** Grants of the person's teams that listed it until they ended. */
  readonly ended: readonly Grant[];
  /** The judgement by each principal that the person is in this cloud; none where the person is none. */
  readonly ways: readonly AccessWay[];
}

export interface AccessWay {
  readonly principal: Principal;
  readonly judgement: Judgement;
}

export interface AccessOptions {
  /** Wall time as of which it is judged. */
  readonly at: Millis;
  /** What a person has beside the drafts, where the cloud was asked. */
  readonly othersOf?: (part: DraftedPart, person: Person) => readonly ForeignPolicy[];
  /** Between two people: lets others have a turn, and rejects when it is to end. */
  readonly pause?: () => Promise<void>;
}

/** Names that no cloud changes when it makes the name of a session of them; others may be judged in another way. */
const PLAIN_NAME = /^[A-Za-z0-9_+=,.@-]{2,64}$/;

/** Every person against everything worth trying, part by part. Asks nobody. */
export async function accessOf(
  parts: readonly DraftedPart[],
  people: readonly TeamPerson[],
  options: AccessOptions,
): Promise<readonly Access[]> {
  const found: Access[] = [];
  for (const part of parts) {
    const attempts = part.drafter.attempts(part.grants, part.facts);
    const judge = judgeOf(part, options);
    for (const person of people) {
      await options.pause?.();
      for (const attempt of attempts) found.push(accessTo(part, person, attempt, judge, options.at));
    }
  }
  return found;
}

type Judge = (person: TeamPerson, as: Person, attempt: AccessAttempt) => Judgement;

function accessTo(part: DraftedPart, person: TeamPerson, attempt: AccessAttempt, judge: Judge, at: Millis): Access {
  const { cloud, grants, draft } = part;
  const own = grants.filter(
    ({ team, principal, verb, subject }) =>
      person.teams.includes(team) &&
      verb === attempt.verb &&
      subject.name === attempt.subject &&
      // Nobody in particular is these principals, and not whatever else the team is.
      (!person.isStandIn || person.principals.some((one) => samePrincipal(one, principal))),
  );
  const ways = personsOf(person, cloud).map((one) => ({
    principal: one.principal,
    judgement: judge(person, one, attempt),
  }));
  const isOver = ({ until }: Grant) => until !== undefined && until <= at;
  return {
    person,
    cloud,
    place: draft.place,
    attempt,
    decision: together(ways),
    listed: own.filter((grant) => !isOver(grant)),
    ended: own.filter(isOver),
    ways,
  };
}

/** The person as each of the principals that it is in a cloud. */
export function personsOf({ name, principals }: TeamPerson, cloud: ProviderId): readonly Person[] {
  const here = principals.filter((principal) => principal.cloud === cloud);
  return here.map((principal) => {
    const also = here.filter((other) => other !== principal);
    return { principal, name, ...(also.length > 0 && { also }) };
  });
}

/** A person takes whichever way is open. */
function together(ways: readonly AccessWay[]): Judgement['decision'] {
  const decisions = ways.map(({ judgement }) => judgement.decision);
  if (decisions.includes('allowed')) return 'allowed';
  return decisions.includes('unknown') ? 'unknown' : 'denied';
}

/** Members of the same teams are judged once: permissions may name members, and do not tell those of one team apart. */
function judgeOf(part: DraftedPart, { at, othersOf }: AccessOptions): Judge {
  const { drafter, draft, facts } = part;
  const known = new Map<string, Judgement>();
  return ({ teams, isStandIn, name }, as, attempt) => {
    const others = othersOf?.(part, as);
    const isAlike = others === undefined && !isStandIn && PLAIN_NAME.test(name);
    const key = JSON.stringify([attempt.id, as.principal, as.also, isAlike ? teams : [isStandIn, name]]);
    const found =
      known.get(key) ?? drafter.judge(draft, facts, as, attempt, { at, ...(others !== undefined && { others }) });
    known.set(key, found);
    return found;
  };
}

/** When what a person has ends, of all the grants that give it: the last end; undefined: never, or nothing is given. */
export function endOfAccess({ listed }: Pick<Access, 'listed'>): Millis | undefined {
  if (listed.some(({ until }) => until === undefined)) return undefined;
  return listed.length === 0 ? undefined : Math.max(...listed.map(({ until }) => until!));
}

import type { Selection } from '../config/tunnel-settings.ts';
import { ERROR_CATALOGUE } from '../domain/error-catalogue.ts';
import { asCloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import type { ProviderId } from '../domain/target.ts';
import type { ForeignPolicy, Judgement, Person, PolicyAuthor } from '../providers/policy-author.ts';
import type { Provider } from '../providers/provider.ts';
import { type Access, personsOf } from './access.ts';
import { checkTeams, type DraftedTeams, type TeamCheck } from './check.ts';
import { type CheckScope, isInScope } from './check-scope.ts';
import type { Finding } from './findings.ts';
import { type TeamPerson, teamPeople } from './people.ts';
import { type DraftedPart, grantGroups, type PlanQuestion, type PolicyKeys } from './team-plan.ts';

/** What could be learned from the clouds, and what could not. */
interface LiveTeams extends DraftedTeams {
  readonly authors: ReadonlyMap<DraftedPart, PolicyAuthor>;
  readonly othersOf: (part: DraftedPart, person: Person) => readonly ForeignPolicy[];
  /** What was not allowed to be asked; the answers are those of the catalogue alone there. */
  readonly unasked: readonly Finding[];
}

/**
 * The drafts with what the clouds say of places and ids, and what people have beside them. Reads only. Where something may not be
 * asked, the rest goes on without it and says so.
 *
 * @param open makes the provider of a group; whoever hands it in closes it
 */
async function surveyTeams(
  question: PlanQuestion,
  keysOf: PolicyKeys,
  open: (cloud: ProviderId, selection: Selection) => Promise<Provider>,
  people: readonly TeamPerson[],
  signal: AbortSignal,
): Promise<LiveTeams> {
  const { groups, problems } = grantGroups(question, keysOf);
  const authors = new Map<DraftedPart, PolicyAuthor>();
  const others = new Map<string, readonly ForeignPolicy[]>();
  const unasked: Finding[] = [];
  const parts: DraftedPart[] = [];
  for (const group of groups) {
    const author = await (await open(group.cloud, group.selection)).policies?.();
    if (author === undefined) continue;
    const { drafter } = author;
    const facts = await author.survey(group.grants, signal).catch((failure: unknown) => {
      unasked.push(
        unaskedFinding(failure, `${group.cloud} was not asked for accounts and ids, which are stand-ins here`),
      );
      return drafter.assume(group.grants);
    });
    const draft = drafter.draft(group.grants, facts, question.catalogue.name);
    const part: DraftedPart = { ...group, drafter, facts, draft };
    parts.push(part);
    authors.set(part, author);
    for (const person of people.flatMap((one) => personsOf(one, group.cloud))) {
      const found = await author.others(person, facts, signal).catch((failure: unknown) => {
        const { kind, name } = person.principal;
        unasked.push(unaskedFinding(failure, `what ${kind} ${name} has beside cloudtun's own was not asked`));
        return [];
      });
      others.set(keyOf(draft.scope, person), found);
    }
  }
  return {
    parts,
    problems,
    authors,
    unasked: distinct(unasked),
    othersOf: (part, person) => others.get(keyOf(part.draft.scope, person)) ?? [],
  };
}

const keyOf = (scope: string, person: Person) => JSON.stringify([scope, person]);

/** The answer of a cloud's own simulator about one thing that somebody may try. */
interface SimulatedAccess {
  readonly access: Access;
  readonly judgement: Judgement;
}

/**
 * Asks the simulators about accesses, each by every principal of the person. They know what the clouds hold now, not what the
 * catalogue would have them hold.
 *
 * @param onStep before each question
 */
async function simulateAccess(
  all: readonly Access[],
  { parts, authors }: Pick<LiveTeams, 'parts' | 'authors'>,
  onStep: (index: number) => void,
  signal: AbortSignal,
): Promise<{ readonly simulated: readonly SimulatedAccess[]; readonly unasked: readonly Finding[] }> {
  const simulated: SimulatedAccess[] = [];
  const unasked: Finding[] = [];
  for (const [index, access] of all.entries()) {
    onStep(index);
    const part = parts.find(({ cloud, draft }) => cloud === access.cloud && draft.place === access.place);
    const author = part && authors.get(part);
    if (part === undefined || author === undefined) continue;
    const answers: Judgement[] = [];
    for (const person of personsOf(access.person, access.cloud)) {
      signal.throwIfAborted();
      try {
        const answer = await author.simulate(person, access.attempt, part.facts, signal);
        if (answer !== undefined) answers.push(answer);
      } catch (failure) {
        unasked.push(unaskedFinding(failure, `the simulator of ${access.place} was not asked`));
        // What may not be asked once may not be asked again.
        return { simulated, unasked };
      }
    }
    const best = answers.find(({ decision }) => decision === 'allowed') ?? answers[0];
    if (best !== undefined) simulated.push({ access, judgement: best });
  }
  return { simulated, unasked };
}

export interface LiveClouds {
  readonly keysOf: PolicyKeys;
  /** Makes the provider of a group; whoever hands it in closes it. */
  readonly open: (cloud: ProviderId, selection: Selection) => Promise<Provider>;
}

/**
 * A check with all that the clouds can say: their ids, what people have beside this, their simulators. Reads only.
 *
 * @param onStep what is being asked, for people
 */
export async function checkLive(
  question: PlanQuestion,
  scope: CheckScope,
  at: Millis,
  { keysOf, open }: LiveClouds,
  onStep: (text: string) => void,
  signal: AbortSignal,
): Promise<{ readonly check: TeamCheck; readonly beside: readonly Finding[] }> {
  const { catalogue, cloud } = question;
  const { person } = scope;
  onStep('asking the clouds what people have beside this');
  const people = person === undefined ? teamPeople(catalogue) : [person];
  const live = await surveyTeams(question, keysOf, open, people, signal);
  const { othersOf } = live;
  const check = await checkTeams({
    catalogue,
    drafted: live,
    at,
    othersOf,
    ...(cloud && { cloud }),
    ...(person && { somebody: person }),
  });
  const asked = check.access.filter((one) => isInScope(one, scope));
  const said = (index: number) => onStep(`asking the simulator: ${index + 1} of ${asked.length}`);
  const { simulated, unasked } = await simulateAccess(asked, live, said, signal);
  return { check, beside: distinct([...live.unasked, ...unasked, ...differencesToCloud(simulated)]) };
}

/** Where what a cloud does now is not what the catalogue would have it do. Pure. */
function differencesToCloud(simulated: readonly SimulatedAccess[]): readonly Finding[] {
  return simulated.flatMap(({ access, judgement }): readonly Finding[] => {
    const { attempt, person, decision } = access;
    if (judgement.decision === decision || judgement.decision === 'unknown') return [];
    // A way around that the simulator sees shut may be open by a reading of the documentation that it does not have.
    if (judgement.decision === 'denied' && attempt.verb === undefined) return [];
    const now = judgement.decision === 'allowed' ? 'allows it now' : 'denies it now';
    const then = decision === 'allowed' ? 'would allow it' : 'would not';
    return [
      {
        level: 'finding',
        code: 'cloud-differs',
        people: [person.name],
        subject: attempt.subject,
        text: `${person.name}, ${attempt.id}: ${access.place} ${now}, and the permissions of the catalogue ${then}: see cloudtun team plan`,
      },
    ];
  });
}

/** Missing rights leave an answer that is less than it could be, and a target that is gone is what a check is for; anything else is a failure. */
function unaskedFinding(failure: unknown, what: string): Finding {
  const error = asCloudtunError(failure);
  const { kind } = ERROR_CATALOGUE[error.code];
  const asked = error.details.flatMap(([name, text]) => (name === 'asked for' ? [` (${text})`] : []));
  if (kind === 'target') return { level: 'finding', code: 'target-missing', text: `${error.message}${asked.join('')}` };
  if (kind !== 'denied') throw failure;
  return { level: 'warning', code: 'unasked', text: `${what}: ${error.message}` };
}

function distinct(findings: readonly Finding[]): readonly Finding[] {
  return [...new Map(findings.map((finding) => [finding.text, finding])).values()];
}

import type { Catalogue } from '../config/catalogue.ts';
import type { Millis } from '../domain/millis.ts';
import type { ProviderId } from '../domain/target.ts';
import type { ForeignPolicy, Person } from '../providers/policy-author.ts';
import { type Access, accessOf } from './access.ts';
import { differencesToListed, type Finding } from './findings.ts';
import { catalogueGrants, type GrantProblem } from './grants.ts';
import { type TeamPerson, teamPeople } from './people.ts';
import type { DraftedPart } from './team-plan.ts';
import { warningsOf } from './team-warnings.ts';

/** Who may do what, by the rules of the clouds, and where that is not what the catalogue says. */
export interface TeamCheck {
  readonly at: Millis;
  readonly people: readonly TeamPerson[];
  readonly access: readonly Access[];
  readonly findings: readonly Finding[];
}

export interface DraftedTeams {
  readonly parts: readonly DraftedPart[];
  readonly problems: readonly GrantProblem[];
}

export interface CheckQuestion {
  readonly catalogue: Catalogue;
  readonly drafted: DraftedTeams;
  /** Wall time as of which it is judged. */
  readonly at: Millis;
  /** This person alone, whom the catalogue need not name; everybody when absent. */
  readonly somebody?: TeamPerson;
  readonly othersOf?: (part: DraftedPart, person: Person) => readonly ForeignPolicy[];
  /** Between two people: lets others have a turn, and rejects when it is to end. */
  readonly pause?: () => Promise<void>;
  /** Of this cloud alone. */
  readonly cloud?: ProviderId;
}

/** Judges everybody against everything that may be tried, without asking anybody. */
export async function checkTeams(question: CheckQuestion): Promise<TeamCheck> {
  const { catalogue, drafted, at, somebody, othersOf, cloud, pause } = question;
  const people = somebody === undefined ? teamPeople(catalogue) : [somebody];
  const access = await accessOf(drafted.parts, people, {
    at,
    ...(othersOf !== undefined && { othersOf }),
    ...(pause !== undefined && { pause }),
  });
  const findings = [
    ...differencesToListed(access),
    ...notDrafted(catalogue, drafted, cloud),
    ...warningsOf(catalogue, drafted, at),
  ];
  return { at, people, access, findings: worstFirst(findings) };
}

export function worstFirst(findings: readonly Finding[]): readonly Finding[] {
  const rank = ({ level }: Finding) => ['finding', 'warning', 'remark'].indexOf(level);
  return [...findings].sort((one, two) => rank(one) - rank(two));
}

/** Grants in clouds that cloudtun writes no permissions for: nothing is said of them by any draft. */
function notDrafted(catalogue: Catalogue, { parts }: DraftedTeams, only: ProviderId | undefined): readonly Finding[] {
  const drafted = new Set(parts.map((part) => part.cloud));
  const clouds = new Set(catalogueGrants(catalogue).grants.map(({ subject }) => subject.cloud));
  return [...clouds]
    .filter((cloud) => !drafted.has(cloud) && (only === undefined || only === cloud))
    .map((cloud) => ({
      level: 'warning',
      code: 'not-checked',
      text: `cloudtun writes no permissions for ${cloud}: nothing there was checked`,
    }));
}

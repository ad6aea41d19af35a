import type { Access } from './access.ts';
import type { Finding } from './findings.ts';
import type { TeamPerson } from './people.ts';

/** Whom and what a check is about; everybody and everything where it says nothing. */
export interface CheckScope {
  readonly person?: TeamPerson;
  /** Targets and logs. */
  readonly subjects?: readonly string[];
}

export function isInScope({ person, attempt }: Access, { person: one, subjects }: CheckScope): boolean {
  return (one === undefined || person.name === one.name) && (subjects?.includes(attempt.subject) ?? true);
}

/** Whether a finding says something about the person and the things that are asked about. */
export function concerns({ people, team, subject }: Finding, { person, subjects }: CheckScope): boolean {
  if (subjects !== undefined && subject !== undefined && !subjects.includes(subject)) return false;
  if (person === undefined) return subjects === undefined || subject !== undefined;
  if (people !== undefined) return people.includes(person.name);
  return team !== undefined && person.teams.includes(team);
}

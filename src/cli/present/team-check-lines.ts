import type { Access } from '../../onboarding/access.ts';
import type { AccessAnswer } from '../../onboarding/access-answer.ts';
import type { AccessChange } from '../../onboarding/access-difference.ts';
import type { CheckScope } from '../../onboarding/check-scope.ts';
import type { Finding } from '../../onboarding/findings.ts';
import type { TeamPerson } from '../../onboarding/people.ts';
import { answerLines, changeLines, everybodyLines, matrixLines, personLines, reverseLines } from './access-lines.ts';
import { plural } from './tunnel-lines.ts';

export interface ShownCheck {
  readonly people: readonly TeamPerson[];
  readonly access: readonly Access[];
  readonly findings: readonly Finding[];
  readonly scope: CheckScope;
  readonly isAll: boolean;
  /** Remarks too. */
  readonly isVerbose: boolean;
  readonly answers: readonly AccessAnswer[] | undefined;
  readonly other: { readonly label: string; readonly changes: readonly AccessChange[] } | undefined;
}

/** What `team check` prints. */
export function checkLines(shown: ShownCheck): readonly string[] {
  const { people, findings, isVerbose, answers, other } = shown;
  const picture = pictureLines(shown);
  const said = findings.filter(({ level }) => isVerbose || level !== 'remark');
  const blocks = [
    picture,
    other === undefined ? [] : changeLines(other.changes, other.label),
    said.map(({ level, text }) => `${level.padEnd(7)}  ${text}`),
    answers === undefined
      ? [`${people.length === 1 ? '1 person' : `${people.length} people`}: ${countText(findings)}`]
      : [],
  ].filter((lines) => lines.length > 0);
  return blocks.flatMap((lines, index) => (index > 0 && index < blocks.length - 1 ? ['', ...lines] : lines));
}

function pictureLines({ people, access, scope, isAll, isVerbose, answers, other }: ShownCheck): readonly string[] {
  if (answers !== undefined) return answers.flatMap((answer) => answerLines(answer, isVerbose));
  if (scope.person !== undefined) return personLines(scope.person, access);
  if (isAll) return matrixLines(people, access);
  if (scope.subjects !== undefined)
    return scope.subjects.flatMap((subject) =>
      reverseLines(
        subject,
        access.filter(({ attempt }) => attempt.subject === subject),
      ),
    );
  return other === undefined ? everybodyLines(people, access) : [];
}

function countText(findings: readonly Finding[]): string {
  const count = (level: Finding['level']) => findings.filter((one) => one.level === level).length;
  return `${plural(count('finding'), 'finding')}, ${plural(count('warning'), 'warning')}`;
}

/** What the labs saw of the protocol's rules being broken and of sessions not being ended, and by whom. */
import type { LabReport } from '../bench/lab-process.ts';
import { type Finding, judge, ok } from './check.ts';

/**
 * The official client's own ways are reported, ours fail. It numbers messages without a lock, so that two of them may have one number
 * and only one arrives; when that is the flag that ends the session, the session is left.
 *
 * @param officialSessions their ids; all others are ours
 */
export function auditFindings(reports: readonly LabReport[], officialSessions: ReadonlySet<string>): Finding[] {
  const violations = reports.flatMap((report) => report.violations);
  const isOfficial = (violation: string) => officialSessions.has(violation.slice(0, violation.indexOf(': ')));
  const theirs = kindsOf(violations.filter(isOfficial));
  const ours = kindsOf(violations.filter((violation) => !isOfficial(violation)));
  const left = reports.flatMap((report) => report.sessions);
  const theirLeft = left.filter((id) => officialSessions.has(id));
  const ourLeft = left.filter((id) => !officialSessions.has(id));
  return [
    ok(`rules that the official client broke: ${list(theirs)}`),
    ok(`sessions that the official client left: ${list(theirLeft)}`),
    judge(ours.length === 0, `rules that cloudtun broke: ${list(ours)}`),
    judge(ourLeft.length === 0, `sessions that cloudtun left: ${list(ourLeft)}`),
  ];
}

const list = (texts: readonly string[]): string => (texts.length === 0 ? 'none' : texts.join('; '));

/** One line for each kind, without session and numbers, and how often it was. */
function kindsOf(violations: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const violation of violations) {
    const kind = violation.slice(violation.indexOf(': ') + 2).replaceAll(/\d+/g, 'n');
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return [...counts].map(([kind, count]) => `${kind} (${count}x)`);
}

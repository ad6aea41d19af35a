import { printable } from './printable.ts';
import { tableLines } from './table.ts';

/** What is shown of a running lab; the lab's own status has more, which `--json` prints. */
export interface LabSummary {
  readonly pid: number;
  readonly url: string;
  readonly startedAt: string;
  readonly account: string;
  readonly region: string;
  readonly mfaCode: string;
  readonly sessions: readonly {
    readonly sessionId: string;
    readonly targetId: string;
    readonly owner: string;
    readonly documentName: string;
    readonly properties: Readonly<Record<string, string>>;
  }[];
  readonly endedSessions: number;
  readonly violations: readonly string[];
}

export function labStatusLines(lab: LabSummary): readonly string[] {
  const rows = lab.sessions.map((session) => [
    session.sessionId,
    session.owner,
    session.targetId,
    session.documentName,
    [session.properties.host ?? 'localhost', session.properties.portNumber].filter(Boolean).join(':'),
  ]);
  return [
    `lab ${lab.url} (pid ${lab.pid}), started ${lab.startedAt}`,
    `account ${lab.account}, region ${lab.region}, MFA code ${lab.mfaCode}`,
    ...(rows.length > 0 ? tableLines(['SESSION', 'OWNER', 'NODE', 'DOCUMENT', 'TO'], rows) : ['no session is open']),
    `${lab.endedSessions} ended`,
    ...lab.violations.map((violation) => printable(`protocol broken by a client: ${violation}`)),
  ];
}

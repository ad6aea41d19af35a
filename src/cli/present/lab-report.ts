import { formatByteCount } from '../../domain/byte-count.ts';
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
  readonly enforces: { readonly aws: boolean; readonly gcp: boolean };
  readonly gcp: {
    readonly url: string;
    readonly relayRoot: string;
    readonly projects: readonly string[];
    readonly account: string;
    readonly sessions: readonly {
      readonly sid: string;
      readonly owner: string;
      readonly target: string;
      readonly state: string;
      readonly bytesUp: number;
      readonly bytesDown: number;
    }[];
    readonly endedSessions: readonly object[];
    readonly violations: readonly string[];
  };
}

/** Both halves, one after the other. */
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
    ...enforcementLines(lab.enforces),
    ...(rows.length > 0 ? tableLines(['SESSION', 'OWNER', 'NODE', 'DOCUMENT', 'TO'], rows) : ['no session is open']),
    `${lab.endedSessions} ended`,
    ...violationLines(lab.violations),
    '',
    ...googleLines(lab.gcp),
  ];
}

function enforcementLines({ aws, gcp }: LabSummary['enforces']): readonly string[] {
  const where = [...(aws ? ['AWS'] : []), ...(gcp ? ['Google Cloud'] : [])];
  return where.length === 0 ? [] : [`permissions decide on ${where.join(' and ')}`];
}

function googleLines(gcp: LabSummary['gcp']): readonly string[] {
  const rows = gcp.sessions.map((session) => [
    `${session.sid.slice(0, 8)}...`,
    session.owner,
    session.target,
    session.state,
    formatByteCount(session.bytesDown),
    formatByteCount(session.bytesUp),
  ]);
  const heading = ['SESSION', 'OWNER', 'TO', 'STATE', 'DOWN', 'UP'];
  return [
    `Google Cloud ${gcp.url}, tunnels ${gcp.relayRoot}`,
    `projects ${gcp.projects.join(', ')}, signed in as ${gcp.account}`,
    ...(rows.length > 0 ? tableLines(heading, rows) : ['no tunnel is open']),
    `${gcp.endedSessions.length} ended`,
    ...violationLines(gcp.violations),
  ];
}

const violationLines = (violations: readonly string[]): readonly string[] =>
  violations.map((violation) => printable(`protocol broken by a client: ${violation}`));

import type { ApiFault } from './api-faults.ts';
import type { SignInMode } from './aws/api/sign-in.ts';
import type { Counters } from './aws/core/observations.ts';
import type { FaultPlan } from './aws/faults.ts';
import type { SessionStatus } from './aws/sessions.ts';
import type { GcpLabStatus } from './gcp/gcp-status.ts';
import type { SshPatch } from './ssh/ssh-faults.ts';

/** What `GET /_lab/status` answers and `lab status` shows. No secret but the MFA code, which is good for the lab only. */
export interface LabStatus {
  readonly pid: number;
  readonly url: string;
  /** ISO 8601 UTC. */
  readonly startedAt: string;
  readonly account: string;
  readonly region: string;
  /** What the MFA devices show. */
  readonly mfaCode: string;
  readonly signIn: SignInMode;
  readonly sessions: readonly LabSessionStatus[];
  readonly endedSessions: number;
  /** Rules of the protocol that clients broke, oldest first. */
  readonly violations: readonly string[];
  /** Of the message gateway and the nodes, since the start. */
  readonly counters: Readonly<Counters>;
  /** Calls of each action, such as `ssm:StartSession`. */
  readonly apiCalls: Readonly<Record<string, number>>;
  readonly apiFaults: readonly ApiFault[];
  readonly gatewayFaults: FaultPlan;
  /** Of the machines' sshd in both clouds, as it was set. */
  readonly sshFaults: SshPatch;
  /** Everything above but `sshFaults` is the AWS half. */
  readonly gcp: GcpLabStatus;
  /** Whether permissions decide; where they do not, everybody may do everything. */
  readonly enforces: { readonly aws: boolean; readonly gcp: boolean };
}

export interface LabSessionStatus {
  readonly sessionId: string;
  readonly targetId: string;
  readonly owner: string;
  readonly status: SessionStatus;
  readonly documentName: string;
  /** Port and host among them. */
  readonly properties: Readonly<Record<string, string>>;
}

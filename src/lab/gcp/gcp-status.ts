import type { ApiFault } from '../api-faults.ts';
import type { RelayCounters } from './relay/core/relay-counters.ts';
import type { RelaySessionStatus } from './relay/relay-desk.ts';
import type { RelayPlan } from './relay/relay-faults.ts';

/** The Google half of what `GET /_lab/status` answers. No secret. */
export interface GcpLabStatus {
  readonly url: string;
  readonly relayRoot: string;
  readonly projects: readonly string[];
  /** Whom the lab's variables sign in. */
  readonly account: string;
  /** That a client has, or may come back to. */
  readonly sessions: readonly RelaySessionStatus[];
  /** The last ones. */
  readonly endedSessions: readonly RelaySessionStatus[];
  /** Rules of the protocol that clients broke, oldest first. */
  readonly violations: readonly string[];
  readonly counters: Readonly<RelayCounters>;
  /** Calls of each action, such as `compute.instances.list`. */
  readonly apiCalls: Readonly<Record<string, number>>;
  readonly apiFaults: readonly ApiFault[];
  readonly relayFaults: RelayPlan;
}

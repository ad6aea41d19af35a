/** What the agent on a node can do, by its version (docs: release notes of amazon-ssm-agent). */

/** Port sessions to another host than the node itself. */
const REMOTE_HOST_SINCE = '3.1.1188.0';
/** Several connections in one session; older agents carry one at a time. */
const MUX_AFTER = '3.0.196.0';
/** Port sessions at all. */
const PORT_SESSIONS_SINCE = '2.3.672.0';

/** Numeric, part by part; a missing or odd part counts as 0. */
export function compareVersions(left: string, right: string): number {
  const parts = (version: string) => version.split('.').map((part) => Number.parseInt(part, 10) || 0);
  const [a, b] = [parts(left), parts(right)];
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return 0;
}

export interface AgentAbilities {
  readonly portSessions: boolean;
  readonly remoteHosts: boolean;
  /** False: "basic" mode, one connection at a time. */
  readonly multiplexes: boolean;
}

export function agentAbilities(version: string): AgentAbilities {
  return {
    portSessions: compareVersions(version, PORT_SESSIONS_SINCE) >= 0,
    remoteHosts: compareVersions(version, REMOTE_HOST_SINCE) >= 0,
    multiplexes: compareVersions(version, MUX_AFTER) > 0,
  };
}

/** What is wrong with an agent for a task, or undefined. An unknown version is given the benefit of the doubt. */
export function agentObjection(version: string | undefined, needsRemoteHost: boolean): string | undefined {
  if (version === undefined) return undefined;
  const can = agentAbilities(version);
  if (!can.portSessions) return `agent ${version} is too old for port sessions (2.3.672 or newer)`;
  if (needsRemoteHost && !can.remoteHosts)
    return `agent ${version} is too old to forward to another host (3.1.1188 or newer)`;
  return undefined;
}

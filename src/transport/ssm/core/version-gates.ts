/**
 * Which features two versions of client and agent make each other use (docs/protocol/ssm.md, "Version gates"). Neither side
 * announces its choice: both compute it, so these functions must judge exactly as the official ones (vectors `versionGates`).
 */

/** What we call ourselves: four numeric parts, at least 1.2.764.0. */
export const CLIENT_VERSION = '1.2.764.0';
/** What a client calls itself to make the agent use basic mode (below 1.1.70). */
export const BASIC_CLIENT_VERSION = '1.1.0.0';

export interface AgentFeatures {
  readonly terminateSessionFlag: boolean;
  readonly mux: boolean;
  readonly smuxKeepAliveDisabled: boolean;
}

/** The client's verdict on an agent: each feature wants a version strictly newer, of exactly four parts. */
export function judgeAgent(agentVersion: string): AgentFeatures {
  return {
    terminateSessionFlag: isNewerOfFourParts(agentVersion, [2, 3, 722, 0]),
    mux: isNewerOfFourParts(agentVersion, [3, 0, 196, 0]),
    smuxKeepAliveDisabled: isNewerOfFourParts(agentVersion, [3, 1, 1511, 0]),
  };
}

function isNewerOfFourParts(version: string, reference: readonly [number, number, number, number]): boolean {
  const parts = version.split('.');
  if (parts.length !== 4) return false;
  for (const [index, part] of parts.entries()) {
    const value = /^\d+$/.test(part) ? Number(part) : 0;
    if (value !== reference[index]) return value > reference[index]!;
  }
  return false;
}

export interface ClientFeatures {
  readonly usesMux: boolean;
  readonly smuxKeepAliveDisabled: boolean;
  readonly tooOldForSeparateOutput: boolean;
}

/** The agent's verdict on a client; for the lab's managed nodes. */
export function judgeClient(clientVersion: string): ClientFeatures {
  return {
    usesMux: compareLoosely(clientVersion, '1.1.70') >= 0,
    smuxKeepAliveDisabled: compareLoosely(clientVersion, '1.2.331.0') > 0,
    tooOldForSeparateOutput: compareLoosely(clientVersion, '1.2.295') <= 0,
  };
}

/** Part by part: numbers by value, words after numbers; a version that goes on is the newer one. */
function compareLoosely(left: string, right: string): number {
  const leftParts = left === '' ? [] : left.split(/[.-]/);
  const rightParts = right.split(/[.-]/);
  for (let index = 0; index < Math.max(leftParts.length, rightParts.length); index++) {
    const a = leftParts[index];
    const b = rightParts[index];
    if (a === undefined) return -1;
    if (b === undefined) return 1;
    const order = comparePart(a, b);
    if (order !== 0) return order;
  }
  return 0;
}

function comparePart(a: string, b: string): number {
  const aIsNumber = /^\d+$/.test(a);
  const bIsNumber = /^\d+$/.test(b);
  if (aIsNumber && bIsNumber) return Math.sign(Number(a) - Number(b));
  if (aIsNumber !== bIsNumber) return aIsNumber ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * The agent's side of the handshake (docs/protocol/ssm.md, "Handshake") for port sessions, which are never encrypted:
 * what it asks, how it judges the answer, what it says at the end. JSON texts have the field order of the official structures
 * (vectors `json`).
 */
import type { Millis } from '../../../domain/millis.ts';

/** From sending the request to having the response. */
export const HANDSHAKE_LIMIT: Millis = 15_000;
export const HANDSHAKE_TIMED_OUT =
  'Handshake timed out. Please ensure that you have the latest version of the session manager plugin.';

const SUCCESS = 1;

/** The HandshakeRequest's payload. `properties` in the order of their names, as the agent prints its map. */
export function handshakeRequest(agentVersion: string, properties: Readonly<Record<string, string>>): string {
  const sorted = Object.fromEntries(Object.entries(properties).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  return JSON.stringify({
    AgentVersion: agentVersion,
    RequestedClientActions: [
      { ActionType: 'SessionType', ActionParameters: { SessionType: 'Port', Properties: sorted } },
    ],
  });
}

export function handshakeComplete(duration: Millis): string {
  return `{"HandshakeTimeToComplete":${Math.round(duration * 1e6)},"CustomerMessage":""}`;
}

export type HandshakeVerdict =
  | { readonly accepted: true; readonly clientVersion: string; readonly oddities: readonly string[] }
  | { readonly accepted: false; readonly reason: string };

/** The agent accepts one success for each action it asked for. `oddities` is what it accepts and a good client does not do. */
export function judgeResponse(payload: Buffer): HandshakeVerdict {
  let content: unknown;
  try {
    content = JSON.parse(payload.toString('utf8'));
  } catch {
    return { accepted: false, reason: 'the handshake response is not JSON' };
  }
  if (!isRecord(content)) return { accepted: false, reason: 'the handshake response is not an object' };
  const { ClientVersion: version, ProcessedClientActions: actions, Errors: errors } = content;
  if (typeof version !== 'string') return { accepted: false, reason: 'the handshake response has no ClientVersion' };
  if (Array.isArray(errors) && errors.length > 0) return { accepted: false, reason: errors.join('; ') };
  const processed: unknown[] = Array.isArray(actions) ? actions : [];
  const sessionType = processed.find((action) => isRecord(action) && action.ActionType === 'SessionType');
  if (!isRecord(sessionType)) return { accepted: false, reason: 'the SessionType action was not processed' };
  if (sessionType.ActionStatus !== SUCCESS) {
    return {
      accepted: false,
      reason: `Failed to process action SessionType: ${String(sessionType.Error ?? sessionType.ActionStatus)}`,
    };
  }
  const oddities: string[] = [];
  if (!/^\d+\.\d+\.\d+\.\d+$/.test(version))
    oddities.push(`the client version "${version}" has not four numeric parts`);
  if (processed.length !== 1) oddities.push(`the handshake response has ${processed.length} actions, 1 was asked for`);
  return { accepted: true, clientVersion: version, oddities };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

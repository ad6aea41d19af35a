/**
 * The handshake of a session (docs/protocol/ssm.md, "Handshake"): the agent asks, the client answers once, the agent completes.
 * Answering a repeated request would block the agent's reader for good, so this machine answers only its first request.
 *
 * Encryption: `KMSEncryption` makes the caller fetch a data key; `SessionCipher` then does the challenge.
 */
import { CloudtunError } from '../../../domain/errors.ts';
import { type AgentFeatures, judgeAgent } from './version-gates.ts';

export interface SessionTypeRequest {
  readonly sessionType: string;
  /** The document's properties for Port sessions; empty for the others. */
  readonly properties: Readonly<Record<string, unknown>>;
}

export interface KmsRequest {
  readonly keyId: string;
  /** Base64 text, as it goes into the encryption context; absent for old agents. */
  readonly challenge?: string;
}

export interface HandshakeRequest {
  readonly agentVersion: string;
  readonly features: AgentFeatures;
  readonly session?: SessionTypeRequest;
  readonly kms?: KmsRequest;
  /** Action types in the order of the request: the response must answer each. */
  readonly actions: readonly string[];
}

const bad = (what: string, cause?: unknown) =>
  new CloudtunError('CT_PROTO_HANDSHAKE', `malformed session handshake: ${what}`, cause === undefined ? {} : { cause });

function parseObject(payload: Buffer, what: string): Record<string, unknown> {
  let content: unknown;
  try {
    content = JSON.parse(payload.toString('utf8'));
  } catch (cause) {
    throw bad(`${what} is not JSON`, cause);
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) throw bad(`${what} is not an object`);
  return content as Record<string, unknown>;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** @throws CT_PROTO_HANDSHAKE */
export function parseHandshakeRequest(payload: Buffer): HandshakeRequest {
  const content = parseObject(payload, 'the request');
  const agentVersion = typeof content.AgentVersion === 'string' ? content.AgentVersion : '';
  if (!Array.isArray(content.RequestedClientActions)) throw bad('no list of requested actions');
  const actions: string[] = [];
  let session: SessionTypeRequest | undefined;
  let kms: KmsRequest | undefined;
  for (const action of content.RequestedClientActions as unknown[]) {
    if (!isRecord(action) || typeof action.ActionType !== 'string') throw bad('an action without a type');
    actions.push(action.ActionType);
    const parameters = isRecord(action.ActionParameters) ? action.ActionParameters : {};
    if (action.ActionType === 'SessionType') {
      if (typeof parameters.SessionType !== 'string') throw bad('no session type');
      session = {
        sessionType: parameters.SessionType,
        properties: isRecord(parameters.Properties) ? parameters.Properties : {},
      };
    } else if (action.ActionType === 'KMSEncryption') {
      if (typeof parameters.KMSKeyId !== 'string') throw bad('no KMS key id');
      kms = {
        keyId: parameters.KMSKeyId,
        ...(typeof parameters.Challenge === 'string' ? { challenge: parameters.Challenge } : {}),
      };
    }
  }
  return {
    agentVersion,
    features: judgeAgent(agentVersion),
    actions,
    ...(session ? { session } : {}),
    ...(kms ? { kms } : {}),
  };
}

export const ACTION_STATUS = { success: 1, failed: 2, unsupported: 3 } as const;

/** What became of one requested action; `result` is JSON as the agent expects it. */
export interface ActionOutcome {
  readonly actionType: string;
  readonly status: (typeof ACTION_STATUS)[keyof typeof ACTION_STATUS];
  readonly result?: unknown;
  readonly error?: string;
}

/** The response text, in the field order of the official client (vectors `json`). */
export function handshakeResponseText(
  clientVersion: string,
  outcomes: readonly ActionOutcome[],
  errors: readonly string[] = [],
): string {
  return JSON.stringify({
    ClientVersion: clientVersion,
    ProcessedClientActions: outcomes.map((outcome) => ({
      ActionType: outcome.actionType,
      ActionStatus: outcome.status,
      ActionResult: outcome.result ?? null,
      Error: outcome.error ?? '',
    })),
    Errors: errors.length > 0 ? errors : null,
  });
}

/** The ActionResult of KMSEncryption. @param acknowledgesChallenge true when the challenge went into the encryption context */
export function kmsActionResult(ciphertextKey: Uint8Array, acknowledgesChallenge: boolean): unknown {
  return {
    KMSCipherTextKey: Buffer.from(ciphertextKey).toString('base64'),
    KMSCipherTextHash: null,
    ...(acknowledgesChallenge ? { ChallengeAcknowledgement: true } : {}),
  };
}

/** The KMS encryption context (protocol: session id, target id exactly as the agent knows itself, and the challenge's base64 text). */
export function encryptionContext(
  sessionId: string,
  targetId: string,
  challenge: string | undefined,
): Record<string, string> {
  return {
    'aws:ssm:SessionId': sessionId,
    'aws:ssm:TargetId': targetId,
    ...(challenge === undefined ? {} : { 'aws:ssm:RandomChallenge': challenge }),
  };
}

/** The message for the user in HandshakeComplete; empty for none. @throws CT_PROTO_HANDSHAKE */
export function parseHandshakeComplete(payload: Buffer): { customerMessage: string } {
  const content = parseObject(payload, 'its completion');
  return { customerMessage: typeof content.CustomerMessage === 'string' ? content.CustomerMessage : '' };
}

/** What the session does with handshake messages, in order. */
export type HandshakeState = 'waiting' | 'answered' | 'complete';

export class Handshake {
  state: HandshakeState = 'waiting';

  /**
   * The request, when it is the first one; undefined for one that must not be answered again.
   *
   * @throws CT_PROTO_HANDSHAKE
   */
  request(payload: Buffer): HandshakeRequest | undefined {
    if (this.state !== 'waiting') return undefined;
    const request = parseHandshakeRequest(payload);
    this.state = 'answered';
    return request;
  }

  /** @throws CT_PROTO_HANDSHAKE when it comes before a request */
  complete(payload: Buffer): { customerMessage: string } {
    if (this.state === 'waiting') throw bad('completed before it began');
    this.state = 'complete';
    return parseHandshakeComplete(payload);
  }
}

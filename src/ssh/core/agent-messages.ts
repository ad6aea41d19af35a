/*
 * The messages of an ssh-agent (draft-ietf-sshm-ssh-agent, sections 3 to 5) as far as an agent needs them that has one key and hands on
 * everything else. A message is four bytes of length, one of type, and its fields; a string is four bytes of length and its bytes.
 * Left out on purpose: adding, removing and locking keys, which are for the agent behind.
 */

/** OpenSSH's own limit (AGENT_MAX_LEN). */
const LARGEST_BYTES = 256 * 1024;

export const AGENT_FAILURE = 5;
export const AGENT_SUCCESS = 6;
export const REQUEST_IDENTITIES = 11;
const IDENTITIES_ANSWER = 12;
export const SIGN_REQUEST = 13;
const SIGN_RESPONSE = 14;
export const EXTENSION = 27;

export interface AgentIdentity {
  readonly blob: Buffer;
  readonly comment: string;
}

/** Cuts a stream of bytes into messages, length taken off: type first. */
export class AgentReader {
  #rest: Buffer = Buffer.alloc(0);

  /** @returns undefined when the peer speaks something else: there is nothing to be read any more */
  read(chunk: Buffer): readonly Buffer[] | undefined {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const messages: Buffer[] = [];
    while (this.#rest.length >= 4) {
      const length = this.#rest.readUInt32BE(0);
      if (length === 0 || length > LARGEST_BYTES) return undefined;
      if (this.#rest.length < 4 + length) break;
      messages.push(this.#rest.subarray(4, 4 + length));
      this.#rest = this.#rest.subarray(4 + length);
    }
    return messages;
  }
}

/** A message with its length before it. @param body type first */
export function framed(body: Buffer): Buffer {
  return Buffer.concat([uint32(body.length), body]);
}

export function bareMessage(type: number): Buffer {
  return Buffer.from([type]);
}

/** The keys of an answer to REQUEST_IDENTITIES; none when it is another message, or malformed. */
export function parseIdentities(body: Buffer): readonly AgentIdentity[] {
  if (body[0] !== IDENTITIES_ANSWER || body.length < 5) return [];
  const identities: AgentIdentity[] = [];
  let at = 5;
  for (let left = body.readUInt32BE(1); left > 0; left -= 1) {
    const blob = stringAt(body, at);
    const comment = blob && stringAt(body, blob.end);
    if (blob === undefined || comment === undefined) return [];
    identities.push({ blob: blob.bytes, comment: comment.bytes.toString() });
    at = comment.end;
  }
  return identities;
}

export function identitiesAnswer(identities: readonly AgentIdentity[]): Buffer {
  const keys = identities.flatMap(({ blob, comment }) => [string(blob), string(Buffer.from(comment))]);
  return Buffer.concat([bareMessage(IDENTITIES_ANSWER), uint32(identities.length), ...keys]);
}

/** Key and data of a SIGN_REQUEST. */
export function parseSignRequest(body: Buffer): { readonly blob: Buffer; readonly data: Buffer } | undefined {
  const blob = stringAt(body, 1);
  const data = blob && stringAt(body, blob.end);
  return blob && data && { blob: blob.bytes, data: data.bytes };
}

/** @param signature of ed25519, 64 bytes */
export function signResponse(signature: Buffer): Buffer {
  const whole = Buffer.concat([string(Buffer.from('ssh-ed25519')), string(signature)]);
  return Buffer.concat([bareMessage(SIGN_RESPONSE), string(whole)]);
}

/**
 * Whether a message tells that its connection is forwarded to the far machine (OpenSSH's PROTOCOL.agent, `session-bind@openssh.com`);
 * undefined for any other message.
 */
export function parseSessionBind(body: Buffer): { readonly isForwarding: boolean } | undefined {
  if (body[0] !== EXTENSION) return undefined;
  const name = stringAt(body, 1);
  if (name?.bytes.toString() !== 'session-bind@openssh.com') return undefined;
  let end = name.end;
  // Host key, session id and signature.
  for (let field = 0; field < 3; field += 1) {
    const next = stringAt(body, end);
    if (next === undefined) return undefined;
    end = next.end;
  }
  return { isForwarding: body[end] === 1 };
}

function stringAt(body: Buffer, at: number): { readonly bytes: Buffer; readonly end: number } | undefined {
  if (body.length < at + 4) return undefined;
  const end = at + 4 + body.readUInt32BE(at);
  return end > body.length ? undefined : { bytes: body.subarray(at + 4, end), end };
}

function string(bytes: Buffer): Buffer {
  return Buffer.concat([uint32(bytes.length), bytes]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/**
 * AES-256-GCM of encrypted sessions (docs/protocol/ssm.md, "Encryption"): nonce (12) ‖ ciphertext ‖ tag (16), no additional data.
 * Of the 64-byte data key the first half is for reading, the second for writing. Port sessions are never encrypted; shells will be.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { CloudtunError } from '../../../domain/errors.ts';
import type { RandomBytes } from './message-writer.ts';

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export class SessionCipher {
  readonly #readKey: Uint8Array;
  readonly #writeKey: Uint8Array;
  readonly #randomBytes: RandomBytes;

  /** @param dataKey 64 plaintext bytes of GenerateDataKey */
  constructor(dataKey: Uint8Array, randomBytes: RandomBytes) {
    if (dataKey.length !== 2 * KEY_BYTES) {
      throw new CloudtunError('CT_PROTO_HANDSHAKE', `a session data key has 64 bytes; this one has ${dataKey.length}`);
    }
    this.#readKey = dataKey.subarray(0, KEY_BYTES);
    this.#writeKey = dataKey.subarray(KEY_BYTES);
    this.#randomBytes = randomBytes;
  }

  seal(plaintext: Uint8Array): Buffer {
    const nonce = this.#randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#writeKey, nonce);
    return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  }

  /** @throws CT_PROTO_DIGEST when the bytes were not sealed with this session's key */
  open(sealed: Uint8Array): Buffer {
    if (sealed.length < NONCE_BYTES + TAG_BYTES) {
      throw new CloudtunError('CT_PROTO_DIGEST', `an encrypted payload of ${sealed.length} bytes is too short`);
    }
    const decipher = createDecipheriv('aes-256-gcm', this.#readKey, sealed.subarray(0, NONCE_BYTES));
    decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
    try {
      return Buffer.concat([
        decipher.update(sealed.subarray(NONCE_BYTES, sealed.length - TAG_BYTES)),
        decipher.final(),
      ]);
    } catch (cause) {
      throw new CloudtunError('CT_PROTO_DIGEST', 'an encrypted payload was not sealed with the key of this session', {
        cause,
      });
    }
  }

  /** The answer to EncChallengeRequest: the value opened, sealed with our key, as JSON text. @throws CT_PROTO_* */
  answerChallenge(payload: Buffer): string {
    let challenge: unknown;
    try {
      challenge = (JSON.parse(payload.toString('utf8')) as { Challenge?: unknown } | null)?.Challenge;
    } catch (cause) {
      throw new CloudtunError('CT_PROTO_HANDSHAKE', 'malformed encryption challenge', { cause });
    }
    if (typeof challenge !== 'string')
      throw new CloudtunError('CT_PROTO_HANDSHAKE', 'malformed encryption challenge: no value');
    return JSON.stringify({ Challenge: this.seal(this.open(Buffer.from(challenge, 'base64'))).toString('base64') });
  }
}

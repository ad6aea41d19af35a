import { generateKeyPairSync, sign } from 'node:crypto';
import { CloudtunError } from '../domain/errors.ts';
import { Secret } from '../domain/secret.ts';

/** A key pair that lives in this process alone: no file, no agent. */
export interface EphemeralKey {
  /** One line for the cloud and the machine: `ssh-ed25519 AAAA… cloudtun`. */
  readonly publicKey: string;
  /** In OpenSSH's own format (PROTOCOL.key), not encrypted. */
  readonly privateKey: Secret;
  /** The 64 bytes of a signature (RFC 8032). */
  sign(data: Uint8Array): Buffer;
}

const TYPE = 'ssh-ed25519';
const BLOCK_BYTES = 8;

/**
 * A new ed25519 key pair. Written down here and not by ssh2, which drops a leading zero byte: one key in 256 is refused by every
 * server then.
 *
 * @param comment ends the public line; it is seen by the cloud and by the machine
 */
export function ephemeralKey(comment = 'cloudtun'): EphemeralKey {
  const pair = generateKeyPairSync('ed25519');
  const { x, d } = pair.privateKey.export({ format: 'jwk' });
  if (x === undefined || d === undefined) throw new CloudtunError('CT_INTERNAL', 'the key pair has no parts');
  const open = Buffer.from(x, 'base64url');
  const seed = Buffer.from(d, 'base64url');
  const blob = Buffer.concat([string(TYPE), string(open)]);
  return {
    publicKey: `${TYPE} ${blob.toString('base64')} ${comment}`,
    privateKey: new Secret(privateFile(blob, open, seed, comment)),
    sign: (data) => sign(null, data, pair.privateKey),
  };
}

function privateFile(blob: Buffer, open: Buffer, seed: Buffer, comment: string): string {
  // Two equal numbers show that decryption worked; here nothing is encrypted.
  const check = Buffer.alloc(8);
  const inner = Buffer.concat([
    check,
    string(TYPE),
    string(open),
    string(Buffer.concat([seed, open])),
    string(comment),
  ]);
  const padding = Buffer.from(
    Array.from({ length: (BLOCK_BYTES - (inner.length % BLOCK_BYTES)) % BLOCK_BYTES }, (_, index) => index + 1),
  );
  const none = string('none');
  const one = Buffer.from([0, 0, 0, 1]);
  const whole = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    none,
    none,
    string(''),
    one,
    string(blob),
    string(Buffer.concat([inner, padding])),
  ]);
  const lines = whole.toString('base64').match(/.{1,70}/g) ?? [];
  return ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join('\n');
}

/** RFC 4251, section 5: four bytes of length, then the bytes. */
function string(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

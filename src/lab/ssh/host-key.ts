import { createPrivateKey, createPublicKey } from 'node:crypto';
import type { Random } from '../../runtime/random.ts';

/** The ed25519 key that a practice machine shows. */
export interface HostKey {
  /** Blob of the wire, as in `known_hosts` and guest attributes. */
  readonly blob: Buffer;
  /** OpenSSH's own format, without a passphrase. */
  readonly privateKey: string;
}

const TYPE = 'ssh-ed25519';
/** What stands before the 32 bytes in PKCS #8 (RFC 8410, 7). */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');

export function makeHostKey(random: Pick<Random, 'bytes'>): HostKey {
  const seed = random.bytes(32);
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, seed]), format: 'der', type: 'pkcs8' });
  const { x = '' } = createPublicKey(key).export({ format: 'jwk' });
  const publicBytes = Buffer.from(x, 'base64url');
  const blob = Buffer.concat([text(TYPE), text(publicBytes)]);
  return { blob, privateKey: opensshFile(blob, publicBytes, seed, random.bytes(4)) };
}

/** `openssh-key-v1`, as PROTOCOL.key of OpenSSH describes it: no cipher, one key. */
function opensshFile(blob: Buffer, publicBytes: Buffer, seed: Buffer, check: Buffer): string {
  const secret = Buffer.concat([
    check,
    check,
    text(TYPE),
    text(publicBytes),
    text(Buffer.concat([seed, publicBytes])),
    text(''),
  ]);
  const padding = Buffer.from(Array.from({ length: (8 - (secret.length % 8)) % 8 }, (_, index) => index + 1));
  const file = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    text('none'),
    text('none'),
    text(''),
    Buffer.from([0, 0, 0, 1]),
    text(blob),
    text(Buffer.concat([secret, padding])),
  ]);
  const lines = file.toString('base64').match(/.{1,70}/g) ?? [];
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join('\n')}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

function text(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** Public keys as OpenSSH writes them (RFC 4253, 6.6; RFC 8709): one line of type, base64 of the blob and a comment. No options, no certificates. */

export interface PublicKeyLine {
  /** `ssh-ed25519` */
  readonly type: string;
  /** The blob of the wire. */
  readonly blob: Buffer;
  readonly comment: string;
}

const TYPES: ReadonlySet<string> = new Set([
  'ssh-ed25519',
  'ssh-rsa',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
]);
/** A 16384-bit RSA key is 2100 bytes. */
const BLOB_LIMIT = 4_096;

/** undefined: no public key, or one whose blob is of another type than the line says. */
export function parsePublicKey(line: string): PublicKeyLine | undefined {
  const [, type = '', base64 = '', comment = ''] =
    /^(\S+)\s+([A-Za-z0-9+/]+={0,2})(?:\s+(.*))?$/.exec(line.trim()) ?? [];
  if (!TYPES.has(type)) return undefined;
  const blob = Buffer.from(base64, 'base64');
  return blob.length <= BLOB_LIMIT && keyType(blob) === type ? { type, blob, comment } : undefined;
}

/** The type that a blob names itself, undefined when it is cut short. */
export function keyType(blob: Buffer): string | undefined {
  if (blob.length < 4) return undefined;
  const length = blob.readUInt32BE(0);
  return length > 0 && blob.length > 4 + length ? blob.toString('latin1', 4, 4 + length) : undefined;
}

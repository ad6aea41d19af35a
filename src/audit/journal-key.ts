import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CloudtunError, systemCode } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import type { CloudSigningKey } from '../domain/signing-key.ts';
import { withDeadline } from '../runtime/deadline.ts';
import { makeOnce, makePrivateDirectory } from '../runtime/state-file.ts';
import type { World } from '../runtime/world.ts';
import { keyId } from './core/checkpoint.ts';
import { keyPath, PUBLIC_KEY_FILE } from './journal-place.ts';

/** What signs checkpoints. */
export interface CheckpointKey {
  /** See `keyId`. */
  readonly id: string;
  readonly publicKey: KeyObject;
  /** Ed25519, or ECDSA with SHA-256 in DER form. */
  sign(bytes: Buffer): Buffer | Promise<Buffer>;
}

/**
 * The key of this user on this machine, made at first use, in a file that its owner alone reads.
 *
 * @throws what the file system throws; CT_STATE when the file holds something else
 */
export function ownKey(world: World): CheckpointKey {
  const path = keyPath(world);
  const privateKey = parsePrivate(path, readIfThere(path) ?? makeKey(world, path));
  // Whoever could read it could sign.
  if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o600);
  const publicKey = createPublicKey(privateKey);
  return { id: keyId(publicKey), publicKey, sign: (bytes) => sign(null, bytes, privateKey) };
}

/**
 * A key of a cloud's key service, asked when the first checkpoint is made.
 *
 * @param limit how long one signature may take
 * @throws CT_STATE where the journal of this directory was signed with another key; what the service throws
 */
export async function cloudKey(
  { clock }: Pick<World, 'clock'>,
  directory: string,
  open: (signal: AbortSignal) => Promise<CloudSigningKey>,
  limit: Millis = CLOUD_LIMIT,
): Promise<CheckpointKey> {
  const found = await withDeadline(clock, limit, open);
  const publicKey = publicKeyOf(found.publicKey);
  const before = readIfThere(join(directory, PUBLIC_KEY_FILE));
  if (before !== undefined && before !== publicText(publicKey)) {
    throw new CloudtunError('CT_STATE', `the journal ${directory} was signed with another key until now`, {
      hint: 'begin another one with this key: audit.journal: DIRECTORY/ in cloudtun.yaml; the old one stays provable with its audit.pub',
    });
  }
  const sign = async (bytes: Buffer) => {
    const digest = createHash('sha256').update(bytes).digest();
    return Buffer.from(await withDeadline(clock, limit, (signal) => found.sign(digest, signal)));
  };
  return { id: keyId(publicKey), publicKey, sign };
}

/** A command that ends waits for its last signature (guessed). */
const CLOUD_LIMIT: Millis = 5_000;

/** The public key beside the checkpoints, for whoever looks at a copy. Kept as it is where there is one. */
export function publishKey(world: World, directory: string, { publicKey }: CheckpointKey): void {
  const path = join(directory, PUBLIC_KEY_FILE);
  if (!existsSync(path)) makeOnce(path, publicText(publicKey), String(world.pid));
}

/** @param spki in DER form */
export function publicKeyOf(spki: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
}

/** In the one spelling that is written: PEM. */
export function publicText(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'pem' }).toString();
}

/** The public half of this machine's own key; undefined when none was made yet. @throws CT_STATE */
export function ownPublicKey(world: World): KeyObject | undefined {
  const path = keyPath(world);
  const text = readIfThere(path);
  return text === undefined ? undefined : createPublicKey(parsePrivate(path, text));
}

/** @throws CT_STATE when the file is not there or holds no public key */
export function readPublicKey(path: string): KeyObject {
  try {
    return createPublicKey(readFileSync(path, 'utf8'));
  } catch (cause) {
    const why = systemCode(cause) === 'ENOENT' ? 'does not exist' : 'holds no public key in PEM form';
    throw new CloudtunError('CT_STATE', `the key file ${path} ${why}`, {
      hint: `name the ${PUBLIC_KEY_FILE} of the machine that wrote the journal: --key FILE`,
      cause,
    });
  }
}

function makeKey(world: World, path: string): string {
  makePrivateDirectory(world.paths.state);
  const { privateKey } = generateKeyPairSync('ed25519');
  const text = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return makeOnce(path, text, String(world.pid));
}

function parsePrivate(path: string, text: string): KeyObject {
  try {
    return createPrivateKey(text);
  } catch (cause) {
    throw new CloudtunError('CT_STATE', `${path} holds no key that checkpoints of the journal could be signed with`, {
      hint: 'put the file back from where you keep copies; without it, move it away, and a new key is made',
      cause,
    });
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

import { createCipheriv, createDecipheriv, createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { Inventory, LabKmsKey } from '../inventory.ts';
import { type ApiContext, type JsonService, regionalInventory } from './api-service.ts';
import { AwsFault } from './aws-fault.ts';
import type { JsonInput } from './json-input.ts';
import { signDigest } from './sign-digest.ts';

type Context = Readonly<Record<string, string>>;

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * GenerateDataKey, Decrypt, GetPublicKey and Sign. A ciphertext opens only with the same encryption context, as the session handshake relies on
 * (docs/protocol/ssm.md, "Encryption"). The master key lives as long as the lab.
 */
export class LabKms {
  readonly #context: ApiContext;
  readonly #master: Buffer;
  readonly #pairs = new Map<string, { readonly privateKey: KeyObject; readonly publicKey: KeyObject }>();

  constructor(context: ApiContext) {
    this.#context = context;
    this.#master = context.world.random.bytes(32);
  }

  /** Encrypts under a key: id hash, nonce, AES-256-GCM with the context as additional data. */
  encrypt(keyId: string, plaintext: Uint8Array, context: Context): Buffer {
    const nonce = this.#context.world.random.bytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#master, nonce).setAAD(canonical(keyId, context));
    const body = Buffer.concat([cipher.update(plaintext), cipher.final()]);
    return Buffer.concat([idHash(keyId), nonce, body, cipher.getAuthTag()]);
  }

  /**
   * For the node's half of an encrypted session too.
   *
   * @throws AwsFault InvalidCiphertextException when the blob or the context is not the one it was made with
   */
  decrypt(
    inventory: Inventory,
    blob: Buffer,
    context: Context,
  ): { readonly keyId: string; readonly plaintext: Buffer } {
    const key = inventory.keys.find((one) => idHash(one.id).equals(blob.subarray(0, 32)));
    const end = blob.length - TAG_BYTES;
    if (key === undefined || end < 32 + NONCE_BYTES) throw badCiphertext();
    if (!key.enabled) throw disabled(inventory, key);
    const decipher = createDecipheriv('aes-256-gcm', this.#master, blob.subarray(32, 32 + NONCE_BYTES))
      .setAAD(canonical(key.id, context))
      .setAuthTag(blob.subarray(end));
    try {
      const plaintext = Buffer.concat([decipher.update(blob.subarray(32 + NONCE_BYTES, end)), decipher.final()]);
      return { keyId: key.id, plaintext };
    } catch {
      throw badCiphertext();
    }
  }

  /** Made at first use. */
  #pairOf(key: LabKmsKey): { readonly privateKey: KeyObject; readonly publicKey: KeyObject } {
    const pair = this.#pairs.get(key.id) ?? generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#pairs.set(key.id, pair);
    return pair;
  }

  service(): JsonService {
    // Permissions are about keys, whatever name a call has for one; a blob says by itself which key it is of.
    const resources = (input: JsonInput, call: { readonly region: string }) => {
      const inventory = this.#context.inventory();
      const prefix = `arn:aws:kms:${call.region}:${inventory.account}:`;
      const asked = input
        .text('KeyId')
        ?.replace(prefix, '')
        .replace(/^key\//, '');
      const blob = Buffer.from(input.text('CiphertextBlob') ?? '', 'base64');
      const key = inventory.keys.find(({ id, aliases }) =>
        asked === undefined ? idHash(id).equals(blob.subarray(0, 32)) : id === asked || aliases.includes(asked),
      );
      return [`${prefix}key/${key?.id ?? asked ?? '*'}`];
    };
    const context = (input: JsonInput) =>
      Object.fromEntries(
        Object.entries(input.textMap('EncryptionContext')).map(([name, value]) => [
          `kms:EncryptionContext:${name}`,
          value,
        ]),
      );
    return {
      name: 'kms',
      protocol: 'json',
      targetPrefix: 'TrentService',
      operations: {
        GenerateDataKey: {
          resources,
          context,
          run: (input, call) => {
            const inventory = regionalInventory(this.#context, call);
            const key = findKey(inventory, input.requiredText('KeyId', { min: 1, max: 2_048 }));
            if (key.use === 'sign') throw unsupported('INVALID_KEY_USAGE', inventory, key, 'SIGN_VERIFY');
            const plaintext = this.#context.world.random.bytes(readByteCount(input));
            const blob = this.encrypt(key.id, plaintext, input.textMap('EncryptionContext'));
            return {
              KeyId: keyArn(inventory, key),
              ...encoded('Plaintext', plaintext),
              ...encoded('CiphertextBlob', blob),
            };
          },
        },
        GetPublicKey: {
          resources,
          run: (input, call) => {
            const inventory = regionalInventory(this.#context, call);
            const key = findKey(inventory, input.requiredText('KeyId', { min: 1, max: 2_048 }));
            if (key.use !== 'sign') throw unsupported('UNSUPPORTED', inventory, key, 'ENCRYPT_DECRYPT');
            return {
              KeyId: keyArn(inventory, key),
              ...encoded('PublicKey', this.#pairOf(key).publicKey.export({ type: 'spki', format: 'der' })),
              KeySpec: 'ECC_NIST_P256',
              KeyUsage: 'SIGN_VERIFY',
              SigningAlgorithms: ['ECDSA_SHA_256'],
            };
          },
        },
        Sign: {
          resources,
          run: (input, call) => {
            const inventory = regionalInventory(this.#context, call);
            const key = findKey(inventory, input.requiredText('KeyId', { min: 1, max: 2_048 }));
            if (key.use !== 'sign') throw unsupported('INVALID_KEY_USAGE', inventory, key, 'ENCRYPT_DECRYPT');
            const message = Buffer.from(input.requiredText('Message'), 'base64');
            const algorithm = input.requiredText('SigningAlgorithm');
            const isDigest = input.text('MessageType', { pattern: /^(RAW|DIGEST)$/ }) === 'DIGEST';
            if (algorithm !== 'ECDSA_SHA_256') {
              const what = `Algorithm ${algorithm} and key spec ECC_NIST_P256 are incompatible.`;
              throw new AwsFault('InvalidKeyUsageException', 400, what);
            }
            if (isDigest ? message.length !== 32 : message.length > 4_096) {
              throw new AwsFault('ValidationException', 400, `Digest is invalid length for algorithm ${algorithm}.`);
            }
            const digest = isDigest ? message : createHash('sha256').update(message).digest();
            return {
              KeyId: keyArn(inventory, key),
              ...encoded('Signature', signDigest(this.#pairOf(key).privateKey, digest)),
              SigningAlgorithm: algorithm,
            };
          },
        },
        Decrypt: {
          resources,
          context,
          run: (input, call) => {
            const inventory = regionalInventory(this.#context, call);
            const blob = Buffer.from(input.requiredText('CiphertextBlob'), 'base64');
            const { keyId, plaintext } = this.decrypt(inventory, blob, input.textMap('EncryptionContext'));
            const key = findKey(inventory, keyId);
            const asked = input.text('KeyId');
            if (asked !== undefined && findKey(inventory, asked).id !== keyId) {
              throw new AwsFault(
                'IncorrectKeyException',
                400,
                'The key ID in the request does not identify a CMK that can perform this operation.',
              );
            }
            return {
              KeyId: keyArn(inventory, key),
              ...encoded('Plaintext', plaintext),
              EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
            };
          },
        },
      },
    };
  }
}

const encoded = (name: string, bytes: Buffer): Readonly<Record<string, string>> => ({
  [name]: bytes.toString('base64'),
});

function readByteCount(input: JsonInput): number {
  const count = input.integer('NumberOfBytes', 1, 1_024);
  const spec = input.text('KeySpec', { pattern: /^AES_(128|256)$/ });
  if ((count === undefined) === (spec === undefined)) {
    throw new AwsFault('ValidationException', 400, 'Please specify either number of bytes or key spec.');
  }
  return count ?? (spec === 'AES_128' ? 16 : 32);
}

/** By id, ARN, alias or alias ARN. */
function findKey(inventory: Inventory, asked: string): LabKmsKey {
  const prefix = `arn:aws:kms:${inventory.region}:${inventory.account}:`;
  const name = asked.startsWith(prefix) ? asked.slice(prefix.length).replace(/^key\//, '') : asked;
  const key = inventory.keys.find((one) => one.id === name || one.aliases.includes(name));
  if (key === undefined) {
    const what = name.startsWith('alias/')
      ? `Alias ${prefix}${name} is not found.`
      : `Key '${prefix}key/${name}' does not exist`;
    throw new AwsFault('NotFoundException', 400, what);
  }
  if (!key.enabled) throw disabled(inventory, key);
  return key;
}

const keyArn = (inventory: Inventory, key: LabKmsKey): string =>
  `arn:aws:kms:${inventory.region}:${inventory.account}:key/${key.id}`;

const disabled = (inventory: Inventory, key: LabKmsKey): AwsFault =>
  new AwsFault('DisabledException', 400, `${keyArn(inventory, key)} is disabled.`);

/** A key that is there for other things. */
function unsupported(
  kind: 'UNSUPPORTED' | 'INVALID_KEY_USAGE',
  inventory: Inventory,
  key: LabKmsKey,
  usage: string,
): AwsFault {
  const arn = keyArn(inventory, key);
  return kind === 'UNSUPPORTED'
    ? new AwsFault('UnsupportedOperationException', 400, '')
    : new AwsFault('InvalidKeyUsageException', 400, `${arn} key usage is ${usage} which is not valid for this call.`);
}

const badCiphertext = (): AwsFault => new AwsFault('InvalidCiphertextException', 400, '');

const idHash = (keyId: string): Buffer => createHash('sha256').update(keyId).digest();

/** Order of the pairs does not count. */
function canonical(keyId: string, context: Context): Buffer {
  return Buffer.from(JSON.stringify([keyId, Object.entries(context).sort(([a], [b]) => (a < b ? -1 : 1))]));
}

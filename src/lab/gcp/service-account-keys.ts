import { generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import type { World } from '../../runtime/world.ts';

/** A key of a service account: what its file holds, and what checks its signatures. */
export interface ServiceAccountKey {
  readonly email: string;
  readonly id: string;
  readonly publicKey: KeyObject;
  /** PKCS #8, PEM. */
  readonly privateKeyPem: string;
}

const BITS = 2_048;

/** The lab's service account keys, made when they are first asked for: an RSA key costs a good part of a second. */
export class ServiceAccountKeys {
  readonly #world: Pick<World, 'random'>;
  readonly #keys = new Map<string, Promise<ServiceAccountKey>>();

  constructor(world: Pick<World, 'random'>) {
    this.#world = world;
  }

  /** The key of a service account; made beside the event loop. */
  of(email: string): Promise<ServiceAccountKey> {
    let key = this.#keys.get(email);
    if (key === undefined) {
      key = this.#make(email);
      this.#keys.set(email, key);
    }
    return key;
  }

  /** The key that was given out, if any was. */
  async find(email: string): Promise<ServiceAccountKey | undefined> {
    return await this.#keys.get(email);
  }

  async #make(email: string): Promise<ServiceAccountKey> {
    const { publicKey, privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: BITS });
    return {
      email,
      id: this.#world.random.bytes(20).toString('hex'),
      publicKey,
      privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    };
  }
}

import type { Millis } from '../../domain/millis.ts';
import { parsePublicKey } from './core/public-key.ts';

interface Admitted {
  readonly machineId: string;
  readonly userName: string;
  readonly blob: Buffer;
  /** Wall clock; absent: never. */
  readonly expiresAt?: Millis;
}

/** Of all machines together; the oldest are forgotten. */
const LIMIT = 10_000;

/** Public keys that may log in to a machine under a name: `authorized_keys`, and what is pushed for a minute. */
export class AdmittedKeys {
  readonly #now: () => Millis;
  #keys: Admitted[] = [];

  /** @param now wall clock */
  constructor(now: () => Millis) {
    this.#now = now;
  }

  /** @param key `ssh-ed25519 AAAA… comment`. @returns false when that is no public key */
  add(machineId: string, userName: string, key: string, lifetime?: Millis): boolean {
    const blob = parsePublicKey(key)?.blob;
    if (blob === undefined) return false;
    const expiry = lifetime === undefined ? {} : { expiresAt: this.#now() + lifetime };
    this.#keys = [...this.#current(), { machineId, userName, blob, ...expiry }].slice(-LIMIT);
    return true;
  }

  has(machineId: string, userName: string, blob: Buffer): boolean {
    return this.#current().some(
      (one) => one.machineId === machineId && one.userName === userName && one.blob.equals(blob),
    );
  }

  /** How many keys of a machine could be used now. */
  count(machineId: string): number {
    return this.#current().filter((one) => one.machineId === machineId).length;
  }

  #current(): readonly Admitted[] {
    const now = this.#now();
    return this.#keys.filter(({ expiresAt }) => expiresAt === undefined || expiresAt > now);
  }
}

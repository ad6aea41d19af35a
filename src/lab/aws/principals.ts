import type { Millis } from '../../domain/millis.ts';
import { Secret } from '../../domain/secret.ts';
import type { World } from '../../runtime/world.ts';
import { matchesPattern } from '../core/wildcard.ts';
import type { AccessKey } from './sigv4-check.ts';

/** What an identity may not do: IAM action and resource ARN, both with `*`. Everything else is allowed. */
export interface Denial {
  readonly action: string;
  /** Default: every resource. */
  readonly resource?: string;
}

/** Somebody the lab knows, after signing in. */
export interface Principal {
  /** User name or role-session name: the first part of the ids of its sessions. */
  readonly name: string;
  readonly arn: string;
  /** `AIDA…`, or `AROA…:session` of an assumed role. */
  readonly userId: string;
  readonly account: string;
  readonly denied: readonly Denial[];
  /** What AssumeRole narrowed the session to: a policy document. */
  readonly sessionPolicy?: string;
}

export interface LabKey extends AccessKey {
  readonly principal: Principal;
  /** Signed in with a second factor. */
  readonly mfa?: boolean;
}

export function mayCall(principal: Principal, action: string, resource: string): boolean {
  return !principal.denied.some(
    (denial) => matchesPattern(denial.action, action) && matchesPattern(denial.resource ?? '*', resource),
  );
}

const ID_ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
/** Temporary keys that are remembered; the oldest are forgotten, which their owner sees as an unknown key. */
const MAX_TEMPORARY = 5_000;

/** The access keys of one lab, all of them random and good for nothing elsewhere. */
export class KeyRing {
  readonly #world: Pick<World, 'random' | 'clock'>;
  readonly #keys = new Map<string, LabKey>();
  readonly #temporary: string[] = [];

  constructor(world: Pick<World, 'random' | 'clock'>) {
    this.#world = world;
  }

  find(accessKeyId: string): LabKey | undefined {
    return this.#keys.get(accessKeyId);
  }

  /** A key of an IAM user: no session token, no end. */
  issueLongTerm(principal: Principal): LabKey {
    return this.#keep({ accessKeyId: this.#id('AKIA'), secretAccessKey: this.#secret(), principal });
  }

  /** What STS and the SSO portal give out. A negative `duration` makes one that has expired already. */
  issueTemporary(
    principal: Principal,
    duration: Millis,
    mfa = false,
  ): LabKey & Required<Pick<AccessKey, 'sessionToken' | 'expiresAt'>> {
    // STS tells whole seconds, so the key must not end before the second that it names.
    const expiresAt = Math.floor((this.#world.clock.wall() + duration) / 1_000) * 1_000;
    const sessionToken = new Secret(this.#world.random.bytes(180).toString('base64'));
    const key = {
      accessKeyId: this.#id('ASIA'),
      secretAccessKey: this.#secret(),
      sessionToken,
      expiresAt,
      principal,
      mfa,
    };
    this.#temporary.push(key.accessKeyId);
    while (this.#temporary.length > MAX_TEMPORARY) this.#keys.delete(this.#temporary.shift()!);
    return this.#keep(key);
  }

  /** Every temporary key ends now, whatever its end was said to be. */
  expireTemporary(): void {
    const expiresAt = this.#world.clock.wall() - 1;
    for (const id of this.#temporary) {
      const key = this.#keys.get(id);
      if (key) this.#keys.set(id, { ...key, expiresAt });
    }
  }

  /** Makes a key unknown, as if an administrator had deleted it. */
  revoke(accessKeyId: string): void {
    this.#keys.delete(accessKeyId);
  }

  #keep<Key extends LabKey>(key: Key): Key {
    this.#keys.set(key.accessKeyId, key);
    return key;
  }

  #id(prefix: string): string {
    return prefix + Array.from(this.#world.random.bytes(16), (byte) => ID_ALPHABET[byte % 32]).join('');
  }

  #secret(): Secret {
    return new Secret(this.#world.random.bytes(30).toString('base64'));
  }
}

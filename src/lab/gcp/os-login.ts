import { createHash } from 'node:crypto';
import type { Millis } from '../../domain/millis.ts';
import { parsePublicKey } from '../ssh/core/public-key.ts';

interface LoginKey {
  /** The whole line as it was imported. */
  readonly key: string;
  readonly fingerprint: string;
  /** Microseconds since 1970, as text; absent: never. */
  readonly expirationTimeUsec?: string;
}

interface Profile {
  readonly keys: Map<string, LoginKey>;
  /** Projects in which the person has an account. */
  readonly projects: Set<string>;
}

/** Of all keys of a person together. */
const PROFILE_LIMIT = 32_768;

/** The login profiles of OS Login: who is called what on the machines, and with which public keys. */
export class OsLogin {
  readonly #now: () => Millis;
  readonly #profiles = new Map<string, Profile>();
  /** Email → what an administrator called the person. */
  readonly #names = new Map<string, string>();

  /** @param now wall clock */
  constructor(now: () => Millis) {
    this.#now = now;
  }

  /** Gives a person another user name, as administrators of an organisation can (`posixAccounts` of the Directory API). */
  rename(email: string, userName: string): void {
    this.#names.set(email, userName);
  }

  /** Also makes the account in the project. A text says what is wrong. */
  import(email: string, project: string | undefined, key: string, expirationTimeUsec?: string): string | undefined {
    if (parsePublicKey(key) === undefined) return 'Invalid SSH public key.';
    if (expirationTimeUsec !== undefined && this.#isOver(expirationTimeUsec))
      return 'The expiration time is in the past.';
    const profile = this.#profile(email);
    const size = [...profile.keys.values()].reduce((sum, one) => sum + one.key.length, key.length);
    if (size > PROFILE_LIMIT)
      return 'Login profile size exceeds 32 KiB. Delete profile values to make additional space.';
    const fingerprint = createHash('sha256').update(key).digest('hex');
    const expiry = expirationTimeUsec === undefined ? {} : { expirationTimeUsec };
    profile.keys.set(fingerprint, { key, fingerprint, ...expiry });
    if (project !== undefined) profile.projects.add(project);
    return undefined;
  }

  /** Changes the end of a key; undefined when there is none of this fingerprint. */
  extend(email: string, fingerprint: string, expirationTimeUsec: string | undefined): LoginKey | undefined {
    const { keys } = this.#profile(email);
    const found = keys.get(fingerprint);
    if (found === undefined) return undefined;
    const { key } = found;
    const changed = { key, fingerprint, ...(expirationTimeUsec === undefined ? {} : { expirationTimeUsec }) };
    keys.set(fingerprint, changed);
    return changed;
  }

  /** What is not there is no error. */
  delete(email: string, fingerprint: string): void {
    this.#profile(email).keys.delete(fingerprint);
  }

  /** Keys that are good now. */
  keys(email: string): readonly LoginKey[] {
    return [...this.#profile(email).keys.values()];
  }

  /** The `loginProfile` of the API. */
  loginProfile(email: string): object {
    const { projects } = this.#profile(email);
    const keys = this.keys(email);
    const accounts = [...projects].map((project, index) =>
      posixAccount(email, this.#userName(email), project, index === 0),
    );
    return {
      name: email,
      ...(accounts.length === 0 ? {} : { posixAccounts: accounts }),
      ...(keys.length === 0 ? {} : { sshPublicKeys: Object.fromEntries(keys.map((one) => [one.fingerprint, one])) }),
    };
  }

  /** Who may log in to a machine of the project under a name with a key; undefined: nobody. */
  ownerOf(userName: string, project: string, blob: Buffer): string | undefined {
    for (const [email, { projects }] of this.#profiles) {
      if (this.#userName(email) !== userName || !projects.has(project)) continue;
      if (this.keys(email).some(({ key }) => parsePublicKey(key)?.blob.equals(blob))) return email;
    }
    return undefined;
  }

  #userName(email: string): string {
    return this.#names.get(email) ?? osLoginName(email);
  }

  #profile(email: string): Profile {
    let profile = this.#profiles.get(email);
    if (profile === undefined) {
      profile = { keys: new Map(), projects: new Set() };
      this.#profiles.set(email, profile);
    }
    for (const { fingerprint, expirationTimeUsec } of profile.keys.values()) {
      if (expirationTimeUsec !== undefined && this.#isOver(expirationTimeUsec)) profile.keys.delete(fingerprint);
    }
    return profile;
  }

  #isOver(expirationTimeUsec: string): boolean {
    return Number(expirationTimeUsec) / 1_000 <= this.#now();
  }
}

/** `alice_example_com`; a service account is called after its number. */
function osLoginName(email: string): string {
  return email.endsWith('.gserviceaccount.com') ? `sa_${accountNumber(email)}` : email.replace(/[^A-Za-z0-9]/g, '_');
}

const accountNumber = (email: string): number => createHash('sha256').update(email).digest().readUInt32BE() >>> 1;

function posixAccount(email: string, username: string, project: string, primary: boolean): object {
  const id = String(accountNumber(email));
  return {
    primary,
    username,
    uid: id,
    gid: id,
    homeDirectory: `/home/${username}`,
    shell: '/bin/bash',
    operatingSystemType: 'LINUX',
    accountId: project,
    name: `users/${email}/projects/${project}`,
  };
}

import type { Millis } from '../../domain/millis.ts';
import type { World } from '../../runtime/world.ts';

export const CLOUD_PLATFORM = 'https://www.googleapis.com/auth/cloud-platform';
/** What gcloud and user credentials ask for. */
export const USER_SCOPES: readonly string[] = [
  'openid',
  'https://www.googleapis.com/auth/userinfo.email',
  CLOUD_PLATFORM,
];

export interface AccessGrant {
  readonly token: string;
  readonly email: string;
  readonly scopes: readonly string[];
  /** Wall clock. */
  readonly expiresAt: Millis;
}

export type GrantVerdict =
  | { readonly ok: true; readonly grant: AccessGrant }
  | { readonly ok: false; readonly why: 'unknown token' | 'expired token' | 'revoked token' };

/** Access tokens that are remembered; the oldest are forgotten, which their owners see as unknown. */
const MAX_TOKENS = 20_000;

/** The tokens of one lab, all of them random and good for nothing elsewhere. */
export class TokenStore {
  readonly #world: Pick<World, 'clock' | 'random'>;
  readonly #grants = new Map<string, AccessGrant>();
  readonly #refreshTokens = new Map<string, string>();
  readonly #revoked = new Set<string>();
  readonly #listeners = new Set<() => void>();
  /** Of tokens that are issued from now on. */
  lifetime: Millis = 3_600_000;

  constructor(world: Pick<World, 'clock' | 'random'>) {
    this.#world = world;
  }

  issue(email: string, scopes: readonly string[], lifetime: Millis = this.lifetime): AccessGrant {
    const token = `ya29.lab-${this.#world.random.bytes(48).toString('base64url')}`;
    const grant = { token, email, scopes, expiresAt: this.#world.clock.wall() + lifetime };
    this.#grants.set(token, grant);
    if (this.#grants.size > MAX_TOKENS) this.#grants.delete(this.#grants.keys().next().value ?? '');
    return grant;
  }

  check(token: string): GrantVerdict {
    if (this.#revoked.has(token)) return { ok: false, why: 'revoked token' };
    const grant = this.#grants.get(token);
    if (grant === undefined) return { ok: false, why: 'unknown token' };
    if (grant.expiresAt <= this.#world.clock.wall()) return { ok: false, why: 'expired token' };
    return { ok: true, grant };
  }

  issueRefresh(email: string): string {
    const token = `1//lab-${this.#world.random.bytes(32).toString('base64url')}`;
    this.#refreshTokens.set(token, email);
    return token;
  }

  /** Whose refresh token it is; undefined: nobody's, or revoked. */
  refreshOwner(token: string): string | undefined {
    return this.#refreshTokens.get(token);
  }

  /** Access tokens of a person end now; with `forGood` the refresh tokens too. */
  revoke(email: string, forGood = false): void {
    for (const grant of this.#grants.values()) if (grant.email === email) this.#revoked.add(grant.token);
    if (forGood) {
      for (const [token, owner] of this.#refreshTokens) if (owner === email) this.#refreshTokens.delete(token);
    }
    for (const listener of [...this.#listeners]) listener();
  }

  /** Calls `listener` after tokens were revoked. */
  onRevoked(listener: () => void): void {
    this.#listeners.add(listener);
  }
}

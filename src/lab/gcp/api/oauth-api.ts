/** Google's token endpoints: OAuth (RFC 6749, 7523), security token service (RFC 8693), and what they say about a token. */
import { verify } from 'node:crypto';
import type { ServiceAccountKeys } from '../service-account-keys.ts';
import { type AccessGrant, CLOUD_PLATFORM, USER_SCOPES } from '../token-store.ts';
import { OAuthFault } from './google-fault.ts';
import type { GcpApiContext } from './operation.ts';

export interface OAuthSecrets {
  /** Of the user credentials' client; the secret of an installed program is none. */
  readonly clientId: string;
  readonly clientSecret: string;
  /** What the identity provider of the federation gave. */
  readonly subjectToken: string;
  readonly keys: ServiceAccountKeys;
  /** Whom the subject token is exchanged for. */
  readonly federated: string;
  /** The workload identity pool's provider. */
  readonly audience: string;
}

const REFRESH = 'refresh_token';
const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const GOOGLE_AUDIENCES = ['https://oauth2.googleapis.com/token', 'https://www.googleapis.com/oauth2/v4/token'];
/** RFC 7523 as Google has it: an hour at most. */
const LONGEST_JWT_S = 3_600;
const CLOCK_SKEW_S = 300;

export class OAuthApi {
  readonly #context: GcpApiContext;
  readonly #secrets: OAuthSecrets;

  constructor(context: GcpApiContext, secrets: OAuthSecrets) {
    this.#context = context;
    this.#secrets = secrets;
  }

  /** `POST /oauth2/token`. @throws OAuthFault */
  async token(form: URLSearchParams): Promise<object> {
    switch (form.get('grant_type')) {
      case REFRESH:
        return this.#refresh(form);
      case JWT_BEARER:
        return await this.#serviceAccount(form);
      default:
        throw new OAuthFault('unsupported_grant_type', `Invalid grant_type: ${form.get('grant_type') ?? ''}`);
    }
  }

  /** `POST /sts/v1/token`. @throws OAuthFault */
  exchange(form: URLSearchParams): object {
    if (form.get('grant_type') !== EXCHANGE) throw new OAuthFault('invalid_request', 'Invalid grant type');
    if (form.get('audience') !== this.#secrets.audience) {
      throw new OAuthFault('invalid_request', 'Invalid value for "audience".');
    }
    if (form.get('requested_token_type') !== 'urn:ietf:params:oauth:token-type:access_token') {
      throw new OAuthFault('invalid_request', 'Invalid requested token type');
    }
    if (form.get('subject_token') !== this.#secrets.subjectToken) {
      throw new OAuthFault('invalid_grant', 'The given credential is rejected by the attribute condition.');
    }
    const grant = this.#issue(this.#secrets.federated, (form.get('scope') ?? CLOUD_PLATFORM).split(' '));
    return { ...grant, issued_token_type: 'urn:ietf:params:oauth:token-type:access_token' };
  }

  /** `GET /oauth2/v3/tokeninfo`. @throws OAuthFault */
  tokenInfo(token: string): object {
    const verdict = this.#context.tokens.check(token);
    if (!verdict.ok) throw new OAuthFault('invalid_token', 'Invalid Value');
    const { email, scopes, expiresAt } = verdict.grant;
    const { clientId } = this.#secrets;
    return {
      azp: clientId,
      aud: clientId,
      sub: subjectOf(email),
      scope: scopes.join(' '),
      exp: String(Math.floor(expiresAt / 1_000)),
      expires_in: String(Math.max(0, Math.floor((expiresAt - this.#context.world.clock.wall()) / 1_000))),
      ...(email.includes('@') ? { email, email_verified: 'true' } : {}),
      access_type: 'offline',
    };
  }

  /** `GET /oauth2/v3/userinfo` */
  userInfo(grant: AccessGrant): object {
    const { email } = grant;
    return { sub: subjectOf(email), ...(email.includes('@') ? { email, email_verified: true } : {}) };
  }

  #refresh(form: URLSearchParams): object {
    const { clientId, clientSecret } = this.#secrets;
    if (form.get('client_id') !== clientId || form.get('client_secret') !== clientSecret) {
      throw new OAuthFault('invalid_client', 'The OAuth client was not found.', 401);
    }
    const email = this.#context.tokens.refreshOwner(form.get('refresh_token') ?? '');
    if (email === undefined) throw new OAuthFault('invalid_grant', 'Token has been expired or revoked.');
    return { ...this.#issue(email, form.get('scope')?.split(' ') ?? USER_SCOPES) };
  }

  async #serviceAccount(form: URLSearchParams): Promise<object> {
    const invalid = (what: string) => new OAuthFault('invalid_grant', what);
    const [header, claims, signature] = (form.get('assertion') ?? '').split('.');
    const head = jsonOf(header);
    const claim = jsonOf(claims);
    if (head === undefined || claim === undefined || signature === undefined) throw invalid('Invalid JWT');
    const email = typeof claim.iss === 'string' ? claim.iss : '';
    const key = await this.#secrets.keys.find(email);
    if (key === undefined) throw invalid('Invalid grant: account not found');
    if (head.alg !== 'RS256' || (head.kid !== undefined && head.kid !== key.id))
      throw invalid('Invalid JWT Signature.');
    const isSigned = verify(
      'RSA-SHA256',
      Buffer.from(`${header}.${claims}`),
      key.publicKey,
      Buffer.from(signature, 'base64url'),
    );
    if (!isSigned) throw invalid('Invalid JWT Signature.');
    const { aud, iat, exp, scope } = claim;
    const now = this.#context.world.clock.wall() / 1_000;
    const audiences = [`${this.#context.url()}/oauth2/token`, ...GOOGLE_AUDIENCES];
    if (typeof aud !== 'string' || !audiences.includes(aud)) throw invalid('Invalid JWT: Failed audience check.');
    if (typeof iat !== 'number' || typeof exp !== 'number' || iat > now + CLOCK_SKEW_S || exp < now - CLOCK_SKEW_S) {
      throw invalid('Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.');
    }
    if (exp - iat > LONGEST_JWT_S) throw invalid('Invalid JWT: Token must be a short-lived token (60 minutes).');
    if (typeof scope !== 'string' || scope === '')
      throw new OAuthFault('invalid_scope', 'Empty or missing scope not allowed.');
    return { ...this.#issue(email, scope.split(' ')) };
  }

  #issue(email: string, scopes: readonly string[]): object {
    const { token, expiresAt } = this.#context.tokens.issue(email, scopes);
    const seconds = Math.floor((expiresAt - this.#context.world.clock.wall()) / 1_000);
    return { access_token: token, expires_in: seconds, scope: scopes.join(' '), token_type: 'Bearer' };
  }
}

/** A number for a person, always the same one. */
function subjectOf(email: string): string {
  const digits = [...Buffer.from(email)].reduce((sum, byte) => (sum * 31 + byte) % 1e12, 7);
  return `1000${String(digits).padStart(12, '0')}`;
}

function jsonOf(part: string | undefined): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part ?? '', 'base64url').toString());
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

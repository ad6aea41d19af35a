import { CloudtunError, type CloudtunErrorOptions } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import { Secret } from '../../domain/secret.ts';
import { parseIsoTime } from '../../runtime/iso-time.ts';
import type { World } from '../../runtime/world.ts';
import type { CredentialJson } from './credential-file.ts';
import type { Endpoints } from './endpoints.ts';
import type { HttpSender } from './http-sender.ts';
import { sendPatiently } from './patience.ts';
import type { AuthClient } from './sdk/user.ts';
import { tokenError } from './token-errors.ts';

export const SCOPE = 'https://www.googleapis.com/auth/cloud-platform';
const USUAL_TOKEN_URL = 'https://oauth2.googleapis.com/token';

export interface MintedToken {
  readonly token: Secret;
  /** Wall clock; undefined when nobody said. */
  readonly expiresAt: Millis | undefined;
  /** Whose it is, where the answer says so. */
  readonly email?: string;
}

/** One way to come by access tokens. */
export interface TokenMint {
  /** For people: `application default credentials (user)`. */
  readonly source: string;
  /** The e-mail address or principal, where the credential itself says so. */
  readonly principal: string | undefined;
  /** The project that the credential belongs to, where it says so. */
  readonly project: string | undefined;
  readonly quotaProject: string | undefined;
  /** A token made just now. @throws CT_CREDENTIALS_*, CT_NO_CREDENTIALS, CT_DENIED, CT_NETWORK … */
  mint(signal?: AbortSignal): Promise<MintedToken>;
}

export interface MintContext {
  readonly world: World;
  readonly http: HttpSender;
  readonly endpoints: Endpoints;
}

type Fetch = typeof fetch;
type LibraryOptions = { readonly transporterOptions: { readonly fetchImplementation: Fetch } };

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);

interface Kind {
  /** In brackets behind where the credential was found: `user`, `service account key`. */
  readonly label: string;
  readonly principal?: string | undefined;
  readonly tokenUrl?: string | undefined;
  /** Loads the library's client for this kind, and only that. `json` may hold a newer refresh token than the file. */
  make(json: CredentialJson, options: LibraryOptions): Promise<AuthClient>;
}

/**
 * Access tokens by the auth library from a credential file of any type but impersonation (impersonation.ts). The library's clients
 * are made with our own transport: proxies, CA bundles, endpoints and retries are ours, and it reads no file and starts no program
 * beyond what an external_account credential asks for.
 *
 * @throws CT_CONFIG for a type that nobody knows, or a file that lacks what its type needs
 */
export function libraryMint(json: CredentialJson, where: string, context: MintContext): TokenMint {
  const kind = kindOf(json);
  const source = `${where} (${kind.label})`;
  let newest = json;
  return {
    source,
    principal: kind.principal,
    project: text(json.project_id),
    quotaProject: text(json.quota_project_id),
    async mint(signal) {
      const transport = new Transport(context, source, kind.tokenUrl, signal);
      const token = await transport.run(async (options) => {
        const client = await kind.make(newest, options);
        return await takeToken(client);
      });
      // Some providers give a new refresh token each time and take the old one no more.
      if (transport.refreshToken !== undefined) newest = { ...json, refresh_token: transport.refreshToken };
      return {
        token: new Secret(token),
        expiresAt: transport.expiresAt,
        ...(transport.email === undefined ? {} : { email: transport.email }),
      };
    },
  };
}

async function takeToken(client: AuthClient): Promise<string | undefined> {
  // We try again ourselves, by our clock.
  client.transporter.interceptors.request.add({
    resolved: async (config) => Object.assign(config, { retry: false, retryConfig: { retry: 0 } }),
  });
  // The exchange of an external token has a transport of its own, which no option reaches.
  const exchange: unknown = Reflect.get(client, 'stsCredential');
  if (typeof exchange === 'object' && exchange !== null) Reflect.set(exchange, 'transporter', client.transporter);
  return (await client.getAccessToken()).token ?? undefined;
}

/** One minting: a `fetch` for the library over our sender that remembers what went by. */
class Transport {
  expiresAt: Millis | undefined;
  email: string | undefined;
  refreshToken: string | undefined;
  readonly #context: MintContext;
  readonly #source: string;
  readonly #tokenUrl: string | undefined;
  readonly #signal: AbortSignal | undefined;
  #failure: unknown;

  constructor(context: MintContext, source: string, tokenUrl: string | undefined, signal: AbortSignal | undefined) {
    this.#context = context;
    this.#source = source;
    this.#tokenUrl = tokenUrl;
    this.#signal = signal;
  }

  async run(use: (options: LibraryOptions) => Promise<string | undefined>): Promise<string> {
    const fetchImplementation: Fetch = (input, init) => this.#fetch(input, init);
    let token: string | undefined;
    try {
      token = await use({ transporterOptions: { fetchImplementation } });
    } catch (error) {
      // What the library throws holds the request, secrets included; ours does not.
      throw this.#failure ?? this.#unusable(error);
    }
    if (token === undefined || token === '') throw this.#unusable(undefined);
    return token;
  }

  async #fetch(input: Parameters<Fetch>[0], init: Parameters<Fetch>[1]): Promise<Response> {
    try {
      const url = this.#place(new URL(input instanceof Request ? input.url : input));
      const headers = Object.fromEntries(new Headers(init?.headers));
      const body = init?.body;
      if (body instanceof URLSearchParams) headers['content-type'] ??= 'application/x-www-form-urlencoded';
      const request = {
        method: init?.method ?? 'GET',
        url,
        headers,
        ...(body === undefined || body === null ? {} : { body: String(body) }),
      };
      const { world, http } = this.#context;
      const answer = await sendPatiently(world, http, request, {}, this.#signal);
      if (answer.status >= 400) throw tokenError(answer, url.host, this.#source);
      this.#note(answer.body);
      return new Response(answer.body, { status: answer.status, headers: answer.headers });
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }

  /** The library has Google's token endpoint built in; the file may name another, and so may our own override. */
  #place(url: URL): URL {
    const { endpoints } = this.#context;
    const isUsual = url.href === USUAL_TOKEN_URL && endpoints.override === undefined;
    return endpoints.redirect(isUsual && this.#tokenUrl !== undefined ? new URL(this.#tokenUrl) : url);
  }

  #note(body: string): void {
    let answer: Record<string, unknown>;
    try {
      answer = JSON.parse(body) as Record<string, unknown>;
    } catch {
      return;
    }
    // A subject token that a file or URL gives may be a bare JSON string.
    if (typeof answer !== 'object' || answer === null) return;
    if (typeof answer.expires_in === 'number') {
      this.expiresAt = this.#context.world.clock.wall() + answer.expires_in * 1_000;
    }
    const end = text(answer.expireTime);
    if (end !== undefined) this.expiresAt = parseIsoTime(end);
    this.refreshToken = text(answer.refresh_token) ?? this.refreshToken;
    this.email = emailOf(text(answer.id_token)) ?? this.email;
  }

  #unusable(error: unknown): CloudtunError {
    const message = error instanceof Error ? error.message : 'no access token in the answer';
    const options: CloudtunErrorOptions = {
      details: [
        ['credentials', this.#source],
        ['reason', message.split('\n')[0]!.slice(0, 300)],
      ],
      hint: 'check what the credential file names (files, programs, addresses), or make it anew',
    };
    return new CloudtunError('CT_NO_CREDENTIALS', 'the credential file gave no access token', options);
  }
}

/** The address in an ID token that came straight from Google over TLS: its signature need not be checked. */
function emailOf(idToken: string | undefined): string | undefined {
  const payload = idToken?.split('.')[1];
  if (payload === undefined) return undefined;
  try {
    return text((JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as { email?: unknown }).email);
  } catch {
    return undefined;
  }
}

function kindOf(json: CredentialJson): Kind {
  switch (json.type) {
    case 'authorized_user': {
      const [clientId, clientSecret, refreshToken] = needs(json, 'client_id', 'client_secret', 'refresh_token');
      return {
        label: 'user',
        principal: text(json.account),
        tokenUrl: text(json.token_uri),
        async make(newest, options) {
          const { UserRefreshClient } = await import('./sdk/user.ts');
          const current = text(newest.refresh_token) ?? refreshToken!;
          return new UserRefreshClient({
            ...options,
            clientId: clientId!,
            clientSecret: clientSecret!,
            refreshToken: current,
          });
        },
      };
    }
    case 'service_account': {
      const [email, key] = needs(json, 'client_email', 'private_key');
      const keyId = text(json.private_key_id);
      return {
        label: 'service account key',
        principal: email,
        tokenUrl: text(json.token_uri),
        async make(_, options) {
          const { JWT } = await import('./sdk/service-account.ts');
          return new JWT({
            ...options,
            email: email!,
            key: key!,
            ...(keyId === undefined ? {} : { keyId }),
            scopes: [SCOPE],
          });
        },
      };
    }
    case 'external_account':
      needs(json, 'audience', 'subject_token_type', 'token_url');
      return {
        label: /\/workforcePools\//.test(String(json.audience)) ? 'workforce identity' : 'workload identity federation',
        principal: impersonatedEmail(text(json.service_account_impersonation_url)),
        make: makeExternal,
      };
    case 'external_account_authorized_user':
      needs(json, 'client_id', 'client_secret', 'refresh_token', 'token_url');
      return {
        label: 'workforce identity',
        async make(newest, options) {
          const { ExternalAccountAuthorizedUserClient } = await import('./sdk/external-account.ts');
          const given = newest as unknown as ConstructorParameters<typeof ExternalAccountAuthorizedUserClient>[0];
          return new ExternalAccountAuthorizedUserClient({ ...given, ...options });
        },
      };
    default:
      throw new CloudtunError('CT_CONFIG', `a credential of type "${json.type}" cannot be used`, {
        hint: 'known are: authorized_user, service_account, impersonated_service_account, external_account, external_account_authorized_user',
      });
  }
}

async function makeExternal(json: CredentialJson, options: LibraryOptions): Promise<AuthClient> {
  // The constructors and not the library's `fromJSON`, which prints a notice: whose file it is, the user knows.
  const { AwsClient, IdentityPoolClient, PluggableAuthClient } = await import('./sdk/external-account.ts');
  const origin = (json.credential_source ?? {}) as { environment_id?: unknown; executable?: unknown };
  const given = { ...json, ...options, scopes: [SCOPE] } as unknown;
  if (origin.environment_id) return new AwsClient(given as ConstructorParameters<typeof AwsClient>[0]);
  if (origin.executable) return new PluggableAuthClient(given as ConstructorParameters<typeof PluggableAuthClient>[0]);
  return new IdentityPoolClient(given as ConstructorParameters<typeof IdentityPoolClient>[0]);
}

/** `…/serviceAccounts/a@b.iam.gserviceaccount.com:generateAccessToken` → the address. */
export function impersonatedEmail(url: string | undefined): string | undefined {
  return /\/serviceAccounts\/([^/:]+):generateAccessToken$/.exec(url ?? '')?.[1];
}

function needs(json: CredentialJson, ...names: string[]): string[] {
  const missing = names.filter((name) => text(json[name]) === undefined);
  if (missing.length === 0) return names.map((name) => String(json[name]));
  throw new CloudtunError('CT_CONFIG', `a credential of type "${json.type}" lacks ${missing.join(', ')}`, {
    hint: 'make the credential file anew',
  });
}

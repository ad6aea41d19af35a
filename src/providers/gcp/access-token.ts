import { readFile } from 'node:fs/promises';
import { CloudtunError, systemCode } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import { Secret } from '../../domain/secret.ts';
import { unlessAborted } from '../../runtime/deadline.ts';
import { type CredentialJson, type CredentialOrigin, findCredential } from './credential-file.ts';
import type { GcpSettings } from './gcp-settings.ts';
import { impersonating } from './impersonation.ts';
import { metadataMint } from './metadata-server.ts';
import { impersonatedEmail, libraryMint, type MintContext, type MintedToken, type TokenMint } from './token-clients.ts';

/** As gcloud and Google's libraries: a token with less than this left is replaced. */
const RENEW_BEFORE: Millis = 5 * 60_000;
/** What cannot be renewed any further is not asked for at every call either. */
const ASK_AGAIN_AFTER: Millis = 60_000;
/** An impersonation of an impersonation is legal; a file that goes on for longer is a mistake. */
const DEEPEST = 5;
/** Google's own are 2048 bytes at most, other universes' and federated ones less than a header may be. */
const LONGEST_TOKEN = 12 * 1024;

/**
 * Access tokens for as long as cloudtun runs: one is kept while it is good for five minutes more, and one refresh is in flight at a
 * time. Which credential is used is decided at the first call.
 */
export class AccessTokens {
  readonly #context: MintContext;
  readonly #settings: GcpSettings;
  #choosing: Promise<TokenMint> | undefined;
  #held: MintedToken | undefined;
  #askedAt: Millis = 0;
  #asking: Promise<MintedToken> | undefined;

  constructor(context: MintContext, settings: GcpSettings) {
    this.#context = context;
    this.#settings = settings;
  }

  /** A token that is good for some minutes more. @throws CT_NO_CREDENTIALS, CT_CREDENTIALS_EXPIRED, CT_DENIED, CT_NETWORK … */
  current(signal?: AbortSignal): Promise<MintedToken> {
    const held = this.#held;
    return held !== undefined && !this.#shouldReplace(held) ? Promise.resolve(held) : this.#ask(signal);
  }

  /** A token that is asked for now, because the service did not want the last one. */
  fresh(signal?: AbortSignal): Promise<MintedToken> {
    this.#held = undefined;
    return this.#ask(signal);
  }

  /** The credential itself, chosen but perhaps never used. */
  credential(): Promise<TokenMint> {
    this.#choosing ??= this.#choose().catch((error: unknown) => {
      this.#choosing = undefined;
      throw error;
    });
    return this.#choosing;
  }

  #shouldReplace({ expiresAt }: MintedToken): boolean {
    const { clock } = this.#context.world;
    if (expiresAt === undefined) return clock.now() - this.#askedAt >= ASK_AGAIN_AFTER;
    const left = expiresAt - clock.wall();
    if (left > RENEW_BEFORE) return false;
    return left <= 0 || clock.now() - this.#askedAt >= ASK_AGAIN_AFTER;
  }

  /**
   * One question at a time. It goes on when whoever asked first gives up: others may wait for it, and its answer is kept.
   */
  async #ask(signal: AbortSignal | undefined): Promise<MintedToken> {
    signal?.throwIfAborted();
    this.#asking ??= this.#mint().finally(() => {
      this.#asking = undefined;
    });
    return signal === undefined ? this.#asking : unlessAborted(this.#asking, signal);
  }

  async #mint(): Promise<MintedToken> {
    const mint = await this.credential();
    const minted = await mint.mint();
    this.#held = minted;
    this.#askedAt = this.#context.world.clock.now();
    return minted;
  }

  async #choose(): Promise<TokenMint> {
    const origin = await findCredential(this.#context.world, this.#settings);
    const base = this.#mintOf(origin);
    const { impersonate } = this.#settings;
    const mint = impersonate.length === 0 ? base : impersonating(base, impersonate, this.#context);
    this.#context.world.log.info(
      `credentials: ${mint.source}${mint.principal === undefined ? '' : `, ${mint.principal}`}`,
    );
    return mint;
  }

  #mintOf(origin: CredentialOrigin): TokenMint {
    switch (origin.kind) {
      case 'token-file':
        return tokenFileMint(origin.path);
      case 'metadata':
        return metadataMint(this.#context, { mayAsk: this.#settings.asksMetadataServer });
      case 'json':
        return this.#fileMint(origin.json, origin.where, DEEPEST);
    }
  }

  #fileMint(json: CredentialJson, where: string, depth: number): TokenMint {
    if (json.type !== 'impersonated_service_account') return libraryMint(json, where, this.#context);
    const below = json.source_credentials as CredentialJson | undefined;
    const url = json.service_account_impersonation_url;
    const target = impersonatedEmail(typeof url === 'string' ? url : undefined);
    if (below === undefined || target === undefined || depth === 0) {
      throw new CloudtunError('CT_CONFIG', 'a credential of type "impersonated_service_account" is not complete', {
        hint: 'make it anew: gcloud auth application-default login --impersonate-service-account=EMAIL',
      });
    }
    const delegates = Array.isArray(json.delegates)
      ? json.delegates.map((each) => String(each).split('/').at(-1)!)
      : [];
    const mint = impersonating(this.#fileMint(below, where, depth - 1), [...delegates, target], this.#context);
    const quota = json.quota_project_id;
    return typeof quota === 'string' ? { ...mint, quotaProject: quota } : mint;
  }
}

/** gcloud's `auth/access_token_file`: whoever writes it renews it, so it is read at each asking. */
function tokenFileMint(path: string): TokenMint {
  return {
    source: 'access token file',
    principal: undefined,
    project: undefined,
    quotaProject: undefined,
    async mint() {
      let token: string;
      try {
        token = (await readFile(path, 'utf8')).trim();
      } catch (error) {
        throw new CloudtunError(
          'CT_NO_CREDENTIALS',
          `the access token file cannot be read (${systemCode(error) ?? '?'}): ${path}`,
          { hint: 'auth/access_token_file of gcloud or CLOUDSDK_AUTH_ACCESS_TOKEN_FILE names it', cause: error },
        );
      }
      // A header must not be made of what somebody put into a file by mistake.
      if (token.length > LONGEST_TOKEN || !/^[\x21-\x7e]+$/.test(token)) {
        throw new CloudtunError('CT_NO_CREDENTIALS', `the access token file holds no token: ${path}`, {
          hint: 'it should hold one access token and nothing else',
        });
      }
      return { token: new Secret(token), expiresAt: undefined };
    },
  };
}

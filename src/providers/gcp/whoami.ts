import type { Identity } from '../provider.ts';
import type { AccessTokens } from './access-token.ts';
import type { GcpSettings } from './gcp-settings.ts';
import type { HttpSender } from './http-sender.ts';

/** Who an access token belongs to: told by the credential, by the answer that brought the token, or by Google. */
export class Whoami {
  readonly #settings: GcpSettings;
  readonly #tokens: AccessTokens;
  readonly #http: HttpSender;
  #known: { readonly token: string; readonly id: string } | undefined;

  constructor(settings: GcpSettings, tokens: AccessTokens, http: HttpSender) {
    this.#settings = settings;
    this.#tokens = tokens;
    this.#http = http;
  }

  /** @throws CT_NO_CREDENTIALS, CT_CREDENTIALS_EXPIRED, CT_NETWORK … when there is no token to be had */
  async identity(signal: AbortSignal): Promise<Identity> {
    const credential = await this.#tokens.credential();
    // A token is asked for even when the credential says its name: `whoami` is also the answer to "am I signed in?".
    const minted = await this.#tokens.current(signal);
    const id = credential.principal ?? minted.email ?? (await this.#ask(minted.token.reveal(), signal));
    return {
      id: id ?? 'unknown principal',
      account: this.#settings.projects[0] ?? credential.project ?? '',
      name: nameOf(id ?? 'unknown'),
      source: credential.source,
      ...(id !== undefined && { principals: [{ cloud: 'gcp' as const, kind: 'user', name: id }] }),
    };
  }

  /** The token's e-mail address, or its subject; undefined when Google knows neither (federated principals). */
  async #ask(token: string, signal: AbortSignal): Promise<string | undefined> {
    if (this.#known?.token === token) return this.#known.id;
    const url = this.#settings.endpoints.url('tokeninfo', '/tokeninfo');
    // In the body: an address with a token in it would stand in every proxy's log.
    const answer = await this.#http
      .send(
        {
          method: 'POST',
          url,
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams({ access_token: token }).toString(),
        },
        signal,
      )
      .catch(() => undefined);
    signal.throwIfAborted();
    if (answer?.status !== 200) return undefined;
    try {
      const { email, sub, azp } = JSON.parse(answer.body) as Readonly<Record<string, unknown>>;
      const id = [email, sub, azp].find((each) => typeof each === 'string');
      if (id !== undefined) this.#known = { token, id };
      return id;
    } catch {
      return undefined;
    }
  }
}

/** `alice@example.com` → alice; `principal://…/subject/alice` → alice */
const nameOf = (id: string) => (id.includes('://') ? id.split('/').at(-1)! : id.split('@')[0]!) || id;

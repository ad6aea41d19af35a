import { CloudtunError } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import { withDeadline } from '../../runtime/deadline.ts';
import type { World } from '../../runtime/world.ts';
import type { Identity } from '../provider.ts';
import type { AccessTokens } from './access-token.ts';
import type { GcpService } from './endpoints.ts';
import { type ApiCall, gcpError, isThrottling } from './gcp-errors.ts';
import type { GcpSettings } from './gcp-settings.ts';
import type { HttpAnswer, HttpSender } from './http-sender.ts';
import { metadataMint } from './metadata-server.ts';
import { sendPatiently } from './patience.ts';

/** Guessed: a denial is shown within this time even if nobody says who we are. */
const IDENTIFY_WITHIN: Millis = 3_000;
/** 500 a page: nobody has more than a hundred thousand instances in a project. */
const MOST_PAGES = 200;

export interface ApiRequest {
  readonly service: GcpService;
  /** With the version: `/v1/projects/acme/zones`. Its parts are encoded by `path`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly body?: object;
}

/** A path from parts of which some are names: path`/v1/projects/${project}/zones`. */
export function path(literals: TemplateStringsArray, ...names: string[]): string {
  return literals.reduce((text, literal, index) => text + encodeURIComponent(names[index - 1] ?? '') + literal);
}

/**
 * The one way to call Google's APIs: REST with the token of the moment, the quota project, paging and patience; what a call throws
 * is a CloudtunError. A token that is refused is replaced once.
 */
export class GcpApi {
  readonly settings: GcpSettings;
  readonly tokens: AccessTokens;
  readonly #world: World;
  readonly #http: HttpSender;
  #identify: ((signal: AbortSignal) => Promise<Identity>) | undefined;

  constructor(world: World, settings: GcpSettings, tokens: AccessTokens, http: HttpSender) {
    this.#world = world;
    this.settings = settings;
    this.tokens = tokens;
    this.#http = http;
  }

  /** How a denial learns who was denied. */
  identifyWith(identify: (signal: AbortSignal) => Promise<Identity>): void {
    this.#identify = identify;
  }

  /**
   * The projects to look in: those that were named, else the credential's own.
   *
   * @throws CT_NO_PROJECT, and what finding the credential throws
   */
  async projects(signal: AbortSignal): Promise<readonly string[]> {
    if (this.settings.projects.length > 0) return this.settings.projects;
    const credential = await this.tokens.credential();
    const own =
      credential.project ?? (credential.source === 'metadata server' ? await this.#machinesProject(signal) : undefined);
    if (own !== undefined) return [own];
    throw new CloudtunError(
      'CT_NO_PROJECT',
      'no Google Cloud project is set by flag, environment or gcloud configuration',
      {
        hint: 'name one with --project, in CLOUDSDK_CORE_PROJECT or GOOGLE_CLOUD_PROJECT, or with: gcloud config set project PROJECT',
      },
    );
  }

  /** Who is asking; undefined when nobody can say. */
  async identity(signal: AbortSignal): Promise<Identity | undefined> {
    return this.#identify?.(signal);
  }

  warn(message: string): void {
    this.#world.log.warn(message);
  }

  #machinesProject(signal: AbortSignal): Promise<string | undefined> {
    const context = { world: this.#world, http: this.#http, endpoints: this.settings.endpoints };
    return metadataMint(context, { mayAsk: true }).projectId(signal);
  }

  /** One answer. @throws CT_DENIED, CT_API_DISABLED, CT_TARGET_NOT_FOUND (404), CT_THROTTLED, CT_NETWORK … */
  async call<Answer>(request: ApiRequest, call: ApiCall, signal: AbortSignal): Promise<Answer> {
    let answer = await this.#send(request, (await this.tokens.current(signal)).token.reveal(), signal);
    if (answer.status === 401) {
      answer = await this.#send(request, (await this.tokens.fresh(signal)).token.reveal(), signal);
    }
    if (answer.status < 200 || answer.status > 299) throw await this.#explain(answer, request, call, signal);
    const body = answer.body === '' ? {} : objectOf(answer.body);
    // A proxy's sign-in page comes with 200.
    if (body === undefined) {
      const context = { call, service: request.service, endpoints: this.settings.endpoints };
      throw gcpError({ ...answer, body: '' }, context);
    }
    return body as Answer;
  }

  /** All pages of a list, in order. */
  async pages<Page extends { readonly nextPageToken?: string }>(
    request: ApiRequest,
    call: ApiCall,
    signal: AbortSignal,
  ): Promise<Page[]> {
    const pages: Page[] = [];
    let pageToken: string | undefined;
    do {
      const query = { ...request.query, ...(pageToken === undefined ? {} : { pageToken }) };
      const page: Page = await this.call({ ...request, query }, call, signal);
      pages.push(page);
      pageToken = page.nextPageToken || undefined;
    } while (pageToken !== undefined && pages.length < MOST_PAGES);
    if (pageToken !== undefined) {
      throw new CloudtunError('CT_SERVICE', `a list did not end after ${MOST_PAGES} pages; could not ${call.doing}`, {
        hint: 'narrow what is asked: --project, --zone',
      });
    }
    return pages;
  }

  async #send(request: ApiRequest, token: string, signal: AbortSignal): Promise<HttpAnswer> {
    const { settings } = this;
    const url = settings.endpoints.url(request.service, request.path);
    for (const [name, value] of Object.entries(request.query ?? {})) url.searchParams.set(name, value);
    const quota = settings.quotaProject ?? (await this.tokens.credential()).quotaProject;
    const method = request.method ?? 'GET';
    const headers = {
      accept: 'application/json',
      authorization: `Bearer ${token}`,
      ...(quota === undefined ? {} : { 'x-goog-user-project': quota }),
      ...(settings.requestReason === undefined ? {} : { 'x-goog-request-reason': settings.requestReason }),
      ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    const body = request.body === undefined ? {} : { body: JSON.stringify(request.body) };
    return sendPatiently(
      this.#world,
      this.#http,
      { method, url, headers, ...body },
      { isSafe: method === 'GET', isBusy: isThrottling },
      signal,
    );
  }

  async #explain(answer: HttpAnswer, request: ApiRequest, call: ApiCall, signal: AbortSignal): Promise<CloudtunError> {
    const context = { call, service: request.service, endpoints: this.settings.endpoints };
    const identify = this.#identify;
    if ((answer.status !== 403 && answer.status !== 401) || identify === undefined) return gcpError(answer, context);
    const identity = await withDeadline(this.#world.clock, IDENTIFY_WITHIN, identify, signal).catch(() => undefined);
    return gcpError(answer, { ...context, identity });
  }
}

/** Every answer of these APIs is an object; undefined for anything else. */
function objectOf(body: string): object | undefined {
  try {
    const parsed: unknown = JSON.parse(body);
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

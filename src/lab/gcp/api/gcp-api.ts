/**
 * All of the lab's Google Cloud APIs on one loopback port. The name of a service is the first part of the path, the rest is the real
 * one: `/compute/v1/projects/…`, `/oslogin/v1/users/…`, `/sql/v1/projects/…`, `/iap/v1/projects/…`, `/iamcredentials/v1/…`, `/oauth2/token`, `/sts/v1/token`. The
 * metadata server answers at `/computeMetadata`.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CloudtunError } from '../../../domain/errors.ts';
import { dateAt } from '../../../runtime/iso-time.ts';
import { isLoopbackAddress } from '../../../runtime/loopback.ts';
import { ApiFaults } from '../../api-faults.ts';
import { CallLog } from '../../call-log.ts';
import { type HttpAnswer, readBody } from '../../http.ts';
import type { LabSecrets } from '../../lab-secrets.ts';
import { isOwnHost } from '../../own-host.ts';
import { bearerOf } from '../relay/core/relay-request.ts';
import { type AccessGrant, CLOUD_PLATFORM } from '../token-store.ts';
import { computeApi } from './compute-api.ts';
import { faults, GoogleFault, OAuthFault } from './google-fault.ts';
import { iamCredentialsApi } from './iam-credentials-api.ts';
import { iamPolicyApi } from './iam-policy-api.ts';
import { iamRolesApi } from './iam-roles-api.ts';
import { iapApi } from './iap-api.ts';
import { instanceMetadataApi } from './instance-metadata-api.ts';
import { loggingApi } from './logging-api.ts';
import { answerMetadata, type MetadataOptions } from './metadata-api.ts';
import { OAuthApi, type OAuthSecrets } from './oauth-api.ts';
import { type GcpApiContext, type GcpOperation, SERVICE_TITLES } from './operation.ts';
import { osLoginApi } from './os-login-api.ts';
import { secretManagerApi } from './secret-manager-api.ts';
import { serviceAccountsApi } from './service-accounts-api.ts';
import { sqlApi } from './sql-api.ts';

export interface GcpApiOptions extends Omit<GcpApiContext, 'url'> {
  readonly oauth: OAuthSecrets;
  readonly secrets: LabSecrets;
  readonly metadata: MetadataOptions;
}

export interface GcpApi extends AsyncDisposable {
  readonly port: number;
  /** `http://127.0.0.1:4711` */
  readonly url: string;
  readonly faults: ApiFaults;
  readonly calls: CallLog;
}

const BODY_LIMIT = 1_048_576;
/** Any of them is enough for reading; the tunnel wants the first. */
const SCOPES = [
  CLOUD_PLATFORM,
  'https://www.googleapis.com/auth/compute',
  'https://www.googleapis.com/auth/compute.readonly',
  'https://www.googleapis.com/auth/sqlservice.admin',
];

/** Thrown by the `hang-up` fault: the connection is cut instead of answered. */
class HangUp extends Error {}

/** @throws CT_LAB_FAILED when the port cannot be had */
export async function startGcpApi(options: GcpApiOptions): Promise<GcpApi> {
  const knobs = new ApiFaults();
  const calls = new CallLog();
  const server = createServer({ keepAliveTimeout: 5_000 });
  const port = () => (server.address() as AddressInfo).port;
  const handler = new GcpApiHandler({ ...options, url: () => `http://127.0.0.1:${port()}` }, knobs, calls, port);
  server.on('request', (request, response) => void handler.answer(request, response));
  server.on('upgrade', (_request, socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new CloudtunError('CT_LAB_FAILED', 'the lab has no port to listen on', { cause })),
    );
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: port(),
    url: `http://127.0.0.1:${port()}`,
    faults: knobs,
    calls,
    async [Symbol.asyncDispose]() {
      if (!server.listening) return;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

class GcpApiHandler {
  readonly #context: GcpApiContext;
  readonly #metadata: MetadataOptions;
  readonly #oauth: OAuthApi;
  readonly #operations: readonly GcpOperation[];
  readonly #faults: ApiFaults;
  readonly #calls: CallLog;
  readonly #port: () => number;

  constructor(options: GcpApiOptions & GcpApiContext, knobs: ApiFaults, calls: CallLog, port: () => number) {
    this.#context = options;
    this.#metadata = options.metadata;
    this.#oauth = new OAuthApi(options, options.oauth);
    this.#operations = [
      ...computeApi(options),
      ...instanceMetadataApi(options),
      ...sqlApi(options),
      ...iapApi(options),
      ...iamCredentialsApi(options),
      ...osLoginApi(options),
      ...secretManagerApi(options.secrets, options),
      ...serviceAccountsApi(options),
      ...iamPolicyApi(options),
      ...iamRolesApi(options),
      ...loggingApi(options),
    ];
    this.#faults = knobs;
    this.#calls = calls;
    this.#port = port;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const answer = await this.#dispatch(request);
      response.writeHead(answer.status, {
        'content-type': answer.contentType,
        date: dateAt(this.#context.world.clock.wall()).toUTCString(),
        'cache-control': 'private',
        ...answer.headers,
      });
      response.end(answer.body);
    } catch (error) {
      if (!(error instanceof HangUp)) this.#context.world.log.debug(`lab: request failed: ${String(error)}`);
      request.socket.destroy();
    }
  }

  async #dispatch(request: IncomingMessage): Promise<HttpAnswer> {
    if (!isLoopbackAddress(request.socket.remoteAddress ?? '')) return plain(403, 'the lab answers this machine only');
    if (!isOwnHost(request.headers, this.#port())) return plain(403, 'the lab answers to its loopback address only');
    const body = await readBody(request, BODY_LIMIT);
    if (body === undefined) return { ...plain(413, 'the request is too long'), headers: { connection: 'close' } };
    const url = new URL(request.url ?? '/', this.#context.url());
    const method = request.method ?? 'GET';
    const { authorization } = request.headers;
    const token = bearerOf(authorization);
    const form = () => new URLSearchParams(method === 'GET' ? url.search : body.toString());

    switch (url.pathname) {
      case '/oauth2/token':
        return await this.#recorded('oauth2.token', () => this.#oauth.token(form()));
      case '/sts/v1/token':
        return await this.#recorded('sts.token', () => this.#oauth.exchange(form()));
      case '/oauth2/v1/tokeninfo':
      case '/oauth2/v3/tokeninfo':
        return await this.#recorded('oauth2.tokeninfo', () => {
          const named = form().get('access_token') ?? token ?? '';
          return this.#oauth.tokenInfo(named);
        });
      case '/oauth2/v1/userinfo':
      case '/oauth2/v2/userinfo':
      case '/oauth2/v3/userinfo':
        return await this.#recorded('oauth2.userinfo', (note) => {
          return this.#oauth.userInfo(this.#authenticate(token, 'oauth2.userinfo', note));
        });
    }
    const metadata = await this.#metadataAnswer(url, request.headers['metadata-flavor']);
    return metadata ?? (await this.#callApi(method, url, body, token));
  }

  async #metadataAnswer(url: URL, flavour: string | string[] | undefined): Promise<HttpAnswer | undefined> {
    if (/^\/computeMetadata\/.*\/token$/.test(url.pathname)) {
      const recorded = await this.#recorded('metadata.token', () => ({}));
      if (recorded.status !== 200) return recorded;
    }
    return answerMetadata(this.#context, this.#metadata, url.pathname, url.searchParams, flavour);
  }

  async #callApi(method: string, url: URL, body: Buffer, token: string | undefined): Promise<HttpAnswer> {
    for (const operation of this.#operations) {
      const found = operation.path.exec(url.pathname);
      if (found === null || operation.method !== method) continue;
      const path = Object.fromEntries(Object.entries({ ...found.groups }).map(([key, part]) => [key, decoded(part)]));
      return await this.#recorded(
        operation.action,
        (note) => this.#run(operation, path, url.searchParams, body, token, note),
        operation.service,
        path.project,
      );
    }
    this.#calls.add({ action: `${method} ${url.pathname}`, outcome: '404', at: this.#context.world.clock.wall() });
    return json(404, faults.notFound(url.pathname).toBody());
  }

  #run(
    operation: GcpOperation,
    path: Readonly<Record<string, string>>,
    query: URLSearchParams,
    body: Buffer,
    token: string | undefined,
    note: (caller: string) => void,
  ): object {
    const caller = this.#authenticate(token, operation.action, note);
    if (!caller.scopes.some((scope) => SCOPES.includes(scope))) throw faults.scope(operation.action);
    const inventory = this.#context.inventory();
    const project = inventory.projects.find(({ id, number }) => id === path.project || number === path.project);
    const needed = operation.needs?.(path);
    if (path.project !== undefined && project === undefined) {
      // Google does not tell a project that is not there from one that the caller may not see.
      if (needed !== undefined) throw faults.denied(needed.permission, needed.resource);
      throw faults.notFound(`projects/${path.project}`);
    }
    if (project?.disabledServices.includes(operation.service)) {
      throw faults.serviceDisabled(operation.service, SERVICE_TITLES[operation.service] ?? '', project.number);
    }
    if (needed !== undefined && !this.#context.iam.may(caller.email, needed.permission, needed.resource)) {
      throw faults.denied(needed.permission, needed.resource);
    }
    const nowhere = { id: '', number: '0', name: '', disabledServices: [] };
    return operation.run({ path, query, body: jsonBody(body), caller, project: project ?? nowhere });
  }

  #authenticate(token: string | undefined, action: string, note: (caller: string) => void): AccessGrant {
    if (token === undefined) throw faults.unauthenticated('missing', action);
    const verdict = this.#context.tokens.check(token);
    if (!verdict.ok) throw faults.unauthenticated(verdict.why === 'expired token' ? 'expired' : 'invalid', action);
    note(verdict.grant.email);
    return verdict.grant;
  }

  /** Runs a call, turns what it throws into Google's error, and keeps a record of it. */
  async #recorded(
    action: string,
    run: (note: (caller: string) => void) => object | Promise<object>,
    service = 'oauth2.googleapis.com',
    project = '',
  ): Promise<HttpAnswer> {
    let caller: string | undefined;
    const record = (outcome: string) =>
      this.#calls.add({
        action,
        outcome,
        at: this.#context.world.clock.wall(),
        ...(caller === undefined ? {} : { caller }),
      });
    try {
      await this.#strike(action, service, project);
      const answer = await run((email) => {
        caller = email;
      });
      record('ok');
      return json(200, answer);
    } catch (error) {
      if (error instanceof HangUp) {
        record('hung-up');
        throw error;
      }
      if (error instanceof OAuthFault) {
        record(error.error);
        return json(error.httpStatus, error.toBody());
      }
      if (!(error instanceof GoogleFault)) this.#context.world.log.warn(`lab: ${action} broke down: ${String(error)}`);
      const fault = error instanceof GoogleFault ? error : faults.internal();
      record(fault.fields.info?.reason ?? fault.fields.status);
      const challenge =
        fault.fields.code === 401 ? { 'www-authenticate': 'Bearer realm="https://accounts.google.com/"' } : {};
      return { ...json(fault.fields.code, fault.toBody()), headers: challenge };
    }
  }

  /** Applies the fault knobs to a call. */
  async #strike(action: string, service: string, project: string): Promise<void> {
    const number = this.#context.inventory().projects.find(({ id }) => id === project)?.number ?? '0';
    for (const fault of this.#faults.strike(action)) {
      switch (fault.kind) {
        case 'latency':
          await this.#context.world.clock.sleep(fault.delay ?? 0);
          break;
        case 'throttle':
          throw faults.throttled(service);
        case 'deny':
          throw faults.denied(action, `projects/${project}`);
        case 'service-disabled':
          throw faults.serviceDisabled(service, SERVICE_TITLES[service] ?? service, number);
        case 'expired-token':
          if (action === 'oauth2.token')
            throw new OAuthFault('invalid_grant', 'reauth related error (invalid_rapt)', 400, 'invalid_rapt');
          throw faults.unauthenticated('expired', action);
        case 'internal-error':
          throw faults.internal();
        case 'unavailable':
          throw faults.unavailable();
        case 'hang-up':
          throw new HangUp();
      }
    }
  }
}

const json = (status: number, value: object): HttpAnswer => ({
  status,
  contentType: 'application/json; charset=UTF-8',
  body: `${JSON.stringify(value, null, 2)}\n`,
});

const plain = (status: number, message: string): HttpAnswer => ({
  status,
  contentType: 'text/plain; charset=utf-8',
  body: `${message}\n`,
});

function jsonBody(body: Buffer): Readonly<Record<string, unknown>> | undefined {
  if (body.length === 0) return undefined;
  try {
    const value: unknown = JSON.parse(body.toString());
    // What Google's own library sends where a call has no body.
    if (value === '') return undefined;
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Told below, as for JSON that is no object.
  }
  throw faults.invalid('Invalid JSON payload received.');
}

/** A part of a path; text that is no valid percent-encoding stands for itself and names nothing. */
function decoded(text: string | undefined): string {
  try {
    return decodeURIComponent(text ?? '');
  } catch {
    return text ?? '';
  }
}

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { CloudtunError } from '../../../domain/errors.ts';
import type { IamContext } from '../../../onboarding/core/iam-context.ts';
import { dateAt } from '../../../runtime/iso-time.ts';
import { isLoopbackAddress } from '../../../runtime/loopback.ts';
import type { World } from '../../../runtime/world.ts';
import { ApiFaults } from '../../api-faults.ts';
import { CallLog } from '../../call-log.ts';
import { type HttpAnswer, readBody } from '../../http.ts';
import type { LabSecrets } from '../../lab-secrets.ts';
import { isOwnHost, ownHosts } from '../../own-host.ts';
import type { AdmittedKeys } from '../../ssh/admitted-keys.ts';
import type { LabResource } from '../iam/iam-gate.ts';
import type { LogGroups } from '../log-groups.ts';
import { checkSigV4, claimedScope } from '../sigv4-check.ts';
import type { Trail, TrailCall } from '../trail.ts';
import type { ApiCall, ApiContext, ApiService } from './api-service.ts';
import {
  type ApiProtocol,
  AwsFault,
  authFault,
  deniedFault,
  faultAnswer,
  internalFault,
  throttledFault,
  unavailableFault,
} from './aws-fault.ts';
import { cloudTrailApi } from './cloudtrail-api.ts';
import { decideDevice, devicePage } from './device-page.ts';
import { ec2Api } from './ec2-api.ts';
import { iamApi } from './iam-api.ts';
import { instanceConnectApi } from './instance-connect-api.ts';
import { JsonInput } from './json-input.ts';
import type { LabKms } from './kms-api.ts';
import { logsApi } from './logs-api.ts';
import { rdsApi } from './rds-api.ts';
import { routeCall, unknownOperation } from './route.ts';
import { secretsManagerApi } from './secrets-manager-api.ts';
import type { SignInDesk } from './sign-in.ts';
import { ssmApi } from './ssm-api.ts';
import { ssoAdminApi } from './sso-admin-api.ts';
import { type RestOperation, ssoApi } from './sso-api.ts';
import { type StsSecrets, stsApi } from './sts-api.ts';
import { xmlDocument } from './xml.ts';

export interface AwsApiOptions extends ApiContext {
  readonly world: Pick<World, 'clock' | 'random' | 'log'>;
  readonly kms: LabKms;
  /** Where EC2 Instance Connect puts keys. */
  readonly sshKeys: AdmittedKeys;
  readonly secrets: LabSecrets;
  readonly desk: SignInDesk;
  readonly trail: Trail;
  readonly logs: LogGroups;
  readonly sts: StsSecrets;
  /** Answers `/_lab/…`; undefined: not found. */
  readonly control: (request: ControlRequest) => Promise<HttpAnswer>;
  /** Takes websocket upgrades, peers and Host already checked. */
  readonly onUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}

export interface ControlRequest {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: string;
}

export interface AwsApi extends AsyncDisposable {
  readonly port: number;
  /** `http://127.0.0.1:4711` */
  readonly url: string;
  readonly faults: ApiFaults;
  readonly calls: CallLog;
}

const BODY_LIMIT = 1_048_576;

/** Thrown by the `hang-up` fault: the connection is cut instead of answered. */
class HangUp extends Error {}

/**
 * All of the lab's HTTP APIs on one loopback port: AWS SDKs and the AWS CLI find each service by endpoint URL
 * (`AWS_ENDPOINT_URL`, `--endpoint-url`), signatures are checked, errors have each protocol's own shape.
 *
 * @throws CT_LAB_FAILED when the port cannot be had
 */
export async function startAwsApi(options: AwsApiOptions): Promise<AwsApi> {
  const faults = new ApiFaults();
  const calls = new CallLog();
  const server = createServer({ keepAliveTimeout: 5_000 });
  const handler = new AwsApiHandler(options, faults, calls, () => (server.address() as AddressInfo).port);
  server.on('request', (request, response) => void handler.answer(request, response));
  server.on('upgrade', (request, socket, head) => {
    if (handler.refusal(request) === undefined) options.onUpgrade(request, socket, head);
    else socket.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new CloudtunError('CT_LAB_FAILED', 'the lab has no port to listen on', { cause })),
    );
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    faults,
    calls,
    async [Symbol.asyncDispose]() {
      if (!server.listening) return;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

class AwsApiHandler {
  readonly #options: AwsApiOptions;
  readonly #services: readonly ApiService[];
  readonly #rest: Readonly<Record<string, RestOperation>>;
  readonly #faults: ApiFaults;
  readonly #calls: CallLog;
  readonly #port: () => number;

  constructor(options: AwsApiOptions, faults: ApiFaults, calls: CallLog, port: () => number) {
    this.#options = options;
    this.#faults = faults;
    this.#calls = calls;
    this.#port = port;
    this.#services = [
      ssmApi(options),
      ec2Api(options),
      rdsApi(options),
      stsApi(options, options.sts),
      options.kms.service(),
      instanceConnectApi(options, options.sshKeys),
      secretsManagerApi(options.secrets, () => options.world.clock.wall()),
      iamApi(options),
      ssoAdminApi(options),
      cloudTrailApi(options, options.trail),
      logsApi(options, options.logs),
    ];
    this.#rest = ssoApi(options, options.desk, () => `http://127.0.0.1:${port()}`);
  }

  /** Why a request must not be answered, whatever it asks. */
  refusal(request: IncomingMessage): string | undefined {
    if (!isLoopbackAddress(request.socket.remoteAddress ?? '')) return 'the lab answers this machine only';
    if (!isOwnHost(request.headers, this.#port())) return 'the lab answers to its loopback address only';
    return undefined;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const requestId = this.#options.world.random.uuid();
    try {
      const answer = await this.#dispatch(request, requestId);
      if (answer.afterwards !== undefined) response.once('close', answer.afterwards);
      response.writeHead(answer.status, {
        'content-type': answer.contentType,
        'x-amzn-requestid': requestId,
        // The SDKs correct their clock by this, so it must be the clock that signatures are checked with.
        date: dateAt(this.#options.world.clock.wall()).toUTCString(),
        'cache-control': 'no-store',
        ...answer.headers,
      });
      response.end(answer.body);
    } catch (error) {
      if (!(error instanceof HangUp)) this.#options.world.log.debug(`lab: request failed: ${String(error)}`);
      request.socket.destroy();
    }
  }

  async #dispatch(request: IncomingMessage, requestId: string): Promise<HttpAnswer> {
    const refusal = this.refusal(request);
    if (refusal !== undefined) return plain(403, refusal);
    const body = await readBody(request, BODY_LIMIT);
    if (body === undefined) return { ...plain(413, 'the request is too long'), headers: { connection: 'close' } };
    const url = new URL(request.url ?? '/', `http://127.0.0.1:${this.#port()}`);
    const method = request.method ?? 'GET';

    if (url.pathname.startsWith('/_lab/')) {
      const { authorization } = request.headers;
      return await this.#options.control({ method, path: url.pathname, authorization, body: body.toString() });
    }
    if (url.pathname === '/device') return this.#device(method, url, body, request.headers.origin);
    const rest = this.#rest[`${method} ${url.pathname}`];
    if (rest !== undefined) {
      const token = request.headers['x-amz-sso_bearer_token'];
      return await this.#callRest(rest, url, body.toString(), typeof token === 'string' ? token : undefined, requestId);
    }
    return await this.#callApi(request, url, body, requestId);
  }

  #device(method: string, url: URL, body: Buffer, origin: string | undefined): HttpAnswer {
    if (method === 'GET') return devicePage(url.searchParams.get('user_code') ?? '');
    const origins = ownHosts(this.#port()).map((host) => `http://${host}`);
    return decideDevice(this.#options.desk, body.toString(), origin, origins);
  }

  async #callRest(
    rest: RestOperation,
    url: URL,
    body: string,
    bearerToken: string | undefined,
    requestId: string,
  ): Promise<HttpAnswer> {
    return await this.#recorded(rest.action, 'rest-json', undefined, requestId, undefined, async () => {
      await this.#strike(rest.action, 'rest-json', 'anonymous');
      return {
        status: 200,
        contentType: 'application/json',
        body: JSON.stringify(rest.run({ url, body, bearerToken })),
      };
    });
  }

  async #callApi(request: IncomingMessage, url: URL, body: Buffer, requestId: string): Promise<HttpAnswer> {
    const claimed = claimedScope(request.headers);
    const target = request.headers['x-amz-target'];
    const form = request.method === 'GET' ? url.search.slice(1) : body.toString();
    const route = routeCall(this.#services, {
      target: typeof target === 'string' ? target : undefined,
      form,
      claimedService: claimed?.service,
    });
    if (route.kind === 'unknown') return plain(404, `the lab does not play ${route.what}`);

    const { service, operation } = route;
    const namespace = service.protocol === 'json' ? undefined : service.namespace;
    const action = `${service.name}:${operation}`;
    let caller: string | undefined;
    return await this.#recorded(
      action,
      service.protocol,
      namespace,
      requestId,
      () => caller,
      async () => {
        if (route.kind === 'query' && route.service.unsigned?.[operation] !== undefined) {
          await this.#strike(action, service.protocol, 'anonymous');
          return xmlAnswer(route.service, operation, route.service.unsigned[operation].run(route.input), requestId);
        }
        const call = this.#authenticate(request, body, service);
        caller = call.key.principal.arn;
        if (!Object.hasOwn(service.operations, operation)) throw unknownOperation(service, operation);
        await this.#strike(action, service.protocol, caller);
        const { 'user-agent': userAgent } = request.headers;
        const trailed = { ...call, service: service.name, operation, userAgent, requestId };
        if (route.kind === 'query') {
          const chosen = route.service.operations[operation]!;
          const input = route.input.fields();
          const output = await this.#trailed({ ...trailed, input }, async () => {
            const resources = chosen.resources?.(route.input, call);
            this.#authorize(service, action, call, resources, chosen.context?.(route.input));
            return await chosen.run(route.input, call);
          });
          return xmlAnswer(route.service, operation, output, requestId);
        }
        const input = JsonInput.parse(body.toString());
        const chosen = route.service.operations[operation]!;
        const output = await this.#trailed({ ...trailed, input: input.members() }, async () => {
          this.#authorize(service, action, call, chosen.resources?.(input, call), chosen.context?.(input));
          return await chosen.run(input, call);
        });
        return { status: 200, contentType: 'application/x-amz-json-1.1', body: JSON.stringify(output) };
      },
    );
  }

  /** Runs a call, and writes the event that CloudTrail has of it. */
  async #trailed<Output extends object>(call: TrailCall, run: () => Promise<Output>): Promise<Output> {
    const { trail } = this.#options;
    try {
      const output = await run();
      trail.succeeded(call, Object.fromEntries(Object.entries(output)));
      return output;
    } catch (error) {
      if (error instanceof AwsFault) trail.failed(call, error.code, error.members.Message ?? error.message);
      throw error;
    }
  }

  /** Runs a call, turns what it throws into the protocol's error, and keeps a record of it. */
  async #recorded(
    action: string,
    protocol: ApiProtocol,
    namespace: string | undefined,
    requestId: string,
    caller: (() => string | undefined) | undefined,
    run: () => Promise<HttpAnswer>,
  ): Promise<HttpAnswer> {
    const record = (outcome: string) => {
      const arn = caller?.();
      this.#calls.add({
        action,
        outcome,
        at: this.#options.world.clock.wall(),
        ...(arn === undefined ? {} : { caller: arn }),
      });
    };
    const end = this.#calls.begin(action);
    try {
      const answer = await run();
      record('ok');
      return answer;
    } catch (error) {
      if (error instanceof HangUp) {
        record('hung-up');
        throw error;
      }
      if (!(error instanceof AwsFault)) this.#options.world.log.warn(`lab: ${action} broke down: ${String(error)}`);
      const fault = error instanceof AwsFault ? error : internalFault(protocol);
      record(fault.code);
      return faultAnswer(protocol, namespace, fault, requestId);
    } finally {
      end();
    }
  }

  #authenticate(request: IncomingMessage, body: Buffer, service: ApiService): ApiCall {
    const verdict = checkSigV4(
      { method: request.method ?? 'GET', target: request.url ?? '/', headers: request.headers, body },
      (accessKeyId) => this.#options.keys.find(accessKeyId),
      this.#options.world.clock.wall(),
    );
    if (!verdict.ok) throw authFault(service.protocol, verdict.problem, verdict.message);
    if (verdict.scope.service !== service.name) {
      const what = `Credential should be scoped to correct service: '${service.name}'.`;
      throw authFault(service.protocol, 'mismatch', what);
    }
    return { key: verdict.key, region: verdict.scope.region };
  }

  #authorize(
    service: ApiService,
    action: string,
    call: ApiCall,
    asked: readonly (string | LabResource)[] | undefined,
    context: IamContext = {},
  ): void {
    // Nobody can be denied the question who they are.
    if (action === 'sts:GetCallerIdentity') return;
    const { key, region } = call;
    const { iam } = this.#options;
    const whole = `arn:aws:${service.name}:${region}:${key.principal.account}:*`;
    const resources =
      asked?.map((one) => (typeof one === 'string' ? { arn: one } : one)) ??
      (iam.settings.enforce ? undefined : [{ arn: whole }]);
    const refusal = iam.refuse({ key, region, action, resources, context });
    if (refusal === undefined) return;
    throw deniedFault(service.protocol, key.principal.arn, action, refusal.resource, refusal.because);
  }

  /** Applies the fault knobs to a call. */
  async #strike(action: string, protocol: ApiProtocol, caller: string): Promise<void> {
    for (const fault of this.#faults.strike(action)) {
      switch (fault.kind) {
        case 'latency':
          await this.#options.world.clock.sleep(fault.delay ?? 0);
          break;
        case 'throttle':
          throw throttledFault(protocol);
        case 'deny':
        case 'service-disabled':
          throw deniedFault(protocol, caller, action, '*');
        case 'expired-token':
          throw authFault(protocol, 'expired-token', 'The security token included in the request is expired');
        case 'internal-error':
          throw internalFault(protocol);
        case 'unavailable':
          throw unavailableFault(protocol);
        case 'hang-up':
          throw new HangUp();
      }
    }
  }
}

function xmlAnswer(
  service: { readonly protocol: 'ec2' | 'query'; readonly namespace: string },
  operation: string,
  output: Parameters<typeof xmlDocument>[2],
  requestId: string,
): HttpAnswer {
  const content =
    service.protocol === 'ec2'
      ? { requestId, ...output }
      : { [`${operation}Result`]: output, ResponseMetadata: { RequestId: requestId } };
  const body = xmlDocument(`${operation}Response`, service.namespace, content);
  return { status: 200, contentType: 'text/xml;charset=UTF-8', body };
}

const PLAIN = 'text/plain; charset=utf-8';
const plain = (status: number, message: string) => ({ status, contentType: PLAIN, body: `${message}\n` });

import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import nock from 'nock';
import { gcpProvider } from '../../src/providers/gcp/gcp-provider.ts';
import type { CloudSelection, Provider } from '../../src/providers/provider.ts';
import { type ManualWorld, manualWorld, settle } from './manual-world.ts';

/*
 * Google Cloud as recorded shapes behind nock. A test says what each call answers, by `METHOD service/path`; what it does not say is
 * a 404 that names the call.
 */

export const PROJECT = 'acme';
export const ZONE = 'europe-west4-a';
export const ALICE = 'alice@example.com';

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers?: Record<string, string>;
}

/** What was asked: `compute/v1/projects/acme/…` without the host, query, body and headers. */
export interface Asked {
  readonly call: string;
  readonly query: Record<string, string>;
  readonly body: string;
  readonly headers: Record<string, string>;
}

export type Responder = (asked: Asked) => Answer;

export const json = (body: object, status = 200): Answer => ({
  status,
  body: JSON.stringify(body),
  headers: { 'content-type': 'application/json; charset=UTF-8' },
});

/** An error in the form of Google's REST APIs. */
export function refusal(
  code: number,
  reason: string,
  info?: { readonly reason: string; readonly metadata?: Record<string, string> },
): Answer {
  const details =
    info === undefined
      ? {}
      : { details: [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', domain: 'googleapis.com', ...info }] };
  const error = { code, message: 'made up', errors: [{ message: 'made up', domain: 'global', reason }], ...details };
  return json({ error }, code);
}

/** An error of the token endpoint. */
export const oauthRefusal = (error: string, subtype?: string, status = 400): Answer =>
  json({ error, error_description: 'made up', ...(subtype === undefined ? {} : { error_subtype: subtype }) }, status);

export const page = (status: number): Answer => ({
  status,
  body: '<html><body>Blocked by policy</body></html>',
  headers: { 'content-type': 'text/html' },
});

/** One answer after the other; the last one stays. */
export function inTurn(...answers: (Answer | Responder)[]): Responder {
  let count = 0;
  return (asked) => {
    const answer = answers[Math.min(count, answers.length - 1)]!;
    count += 1;
    return typeof answer === 'function' ? answer(asked) : answer;
  };
}

const idToken = (email: string) =>
  `e30.${Buffer.from(JSON.stringify({ email, email_verified: true })).toString('base64url')}.c2ln`;

/** What the token endpoint answers to a user's refresh token: numbered, so that a test sees which one is used. */
export function tokens(email: string | undefined = ALICE, seconds = 3599): Responder {
  let count = 0;
  return () => {
    count += 1;
    return json({
      access_token: `ya29.token-${count}`,
      expires_in: seconds,
      scope: 'openid https://www.googleapis.com/auth/cloud-platform',
      token_type: 'Bearer',
      ...(email === undefined ? {} : { id_token: idToken(email) }),
    });
  };
}

export const USER_CREDENTIAL = {
  type: 'authorized_user',
  client_id: 'client.apps.googleusercontent.com',
  client_secret: 'not-so-secret',
  refresh_token: '1//refresh',
};

let rsaKey: string | undefined;
/** A service account's key file; the key is made anew for each test run. */
export function serviceAccountCredential(email = 'ci@acme.iam.gserviceaccount.com'): Record<string, string> {
  rsaKey ??= generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
    type: 'pkcs8',
    format: 'pem',
  }) as string;
  return {
    type: 'service_account',
    project_id: PROJECT,
    private_key_id: 'k1',
    private_key: rsaKey,
    client_email: email,
    token_uri: 'https://oauth2.googleapis.com/token',
  };
}

/** Writes a file below a home directory, folders included. */
export function writeBelow(home: string, path: string, content: string | object): string {
  const file = join(home, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

export const ADC = '.config/gcloud/application_default_credentials.json';

export interface FakeGcp extends AsyncDisposable {
  readonly asked: Asked[];
  /** The calls asked so far, in order, without those for tokens. */
  calls(): string[];
  on(call: string, answer: Answer | Responder): FakeGcp;
  readonly provider: Provider;
  readonly manual: ManualWorld;
}

const HOSTS: Readonly<Record<string, string>> = {
  'compute.googleapis.com': '',
  'sqladmin.googleapis.com': '/sql',
  'iap.googleapis.com': '/iap',
  'oauth2.googleapis.com': '/oauth2',
  'www.googleapis.com': '',
  'iamcredentials.googleapis.com': '/iamcredentials',
  'sts.googleapis.com': '/sts',
  'oslogin.googleapis.com': '/oslogin',
};

export interface FakeGcpOptions {
  readonly home: string;
  readonly env?: Record<string, string>;
  readonly selection?: CloudSelection;
  /** The application default credentials; null: none. */
  readonly credential?: object | null;
}

/** A provider whose every call is answered by `on`; nothing leaves the process. Dispose it, or the next test has no network. */
export async function fakeGcp(options: FakeGcpOptions): Promise<FakeGcp> {
  const { home, credential = USER_CREDENTIAL } = options;
  if (credential !== null) writeBelow(home, ADC, credential);
  const env = { CLOUDSDK_CORE_PROJECT: PROJECT, NO_GCE_CHECK: 'true', ...options.env };
  const manual = manualWorld({ home, env });
  const provider = await gcpProvider(manual.world, options.selection ?? {});
  const asked: Asked[] = [];
  const responders = new Map<string, Answer | Responder>([['POST oauth2/token', tokens()]]);
  if (!nock.isActive()) nock.activate();
  nock.disableNetConnect();
  for (const [host, below] of Object.entries(HOSTS)) {
    for (const method of ['GET', 'POST', 'DELETE'] as const) {
      const answer = async (request: Request) => {
        const url = new URL(request.url);
        const call: Asked = {
          call: `${method} ${`${below}${decodeURIComponent(url.pathname)}`.slice(1)}`,
          query: Object.fromEntries(url.searchParams),
          body: await request.text(),
          headers: Object.fromEntries(request.headers),
        };
        asked.push(call);
        const responder = responders.get(call.call) ?? refusal(404, `notScripted ${call.call}`);
        const given = typeof responder === 'function' ? responder(call) : responder;
        return [given.status, given.body, given.headers ?? {}] as const;
      };
      const scope = nock(`https://${host}`).persist();
      const interceptor = scope.intercept(/.*/, method);
      interceptor.reply(answer as never);
    }
  }
  const fake: FakeGcp = {
    asked,
    provider,
    manual,
    calls: () => asked.map(({ call }) => call).filter((call) => !/token(info)?$/.test(call)),
    on(call, answer) {
      responders.set(call, answer);
      return fake;
    },
    async [Symbol.asyncDispose]() {
      await provider[Symbol.asyncDispose]();
      nock.cleanAll();
      nock.enableNetConnect();
      nock.restore();
    },
  };
  return fake;
}

/** Runs something whose retries wait on the hand-driven clock, and moves that clock to each of them until it is done. */
export async function patiently<Result>(manual: ManualWorld, running: Promise<Result>): Promise<Result> {
  let isDone = false;
  const end = () => {
    isDone = true;
  };
  running.then(end, end);
  while (!isDone) {
    // What is on its way arrives first; then only sleeps of retries are this short, deadlines stay where they are.
    await settle(30);
    const { next } = manual.clock;
    if (!isDone && next !== undefined && next <= 10_000) await manual.clock.advance(next);
  }
  return running;
}

/* ---- recorded shapes ---- */

const COMPUTE = 'https://www.googleapis.com/compute/v1';

export interface InstanceShape {
  readonly name: string;
  readonly project?: string;
  readonly zone?: string;
  readonly id?: string;
  readonly status?: string;
  readonly ip?: string;
  readonly secondIp?: string;
  readonly ipv6?: string;
  readonly network?: string;
  readonly tags?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly started?: string;
}

export function instance(shape: InstanceShape): object {
  const { name, project = PROJECT, zone = ZONE, network = 'default' } = shape;
  const nic = (index: number, ip: string, of: string) => ({
    kind: 'compute#networkInterface',
    name: `nic${index}`,
    network: `${COMPUTE}/projects/${project}/global/networks/${of}`,
    subnetwork: `${COMPUTE}/projects/${project}/regions/${zone.slice(0, -2)}/subnetworks/${of}`,
    ...(ip === '' ? {} : { networkIP: ip }),
    ...(index === 0 && shape.ipv6 !== undefined ? { ipv6Address: shape.ipv6 } : {}),
  });
  return {
    kind: 'compute#instance',
    id: shape.id ?? '4711',
    name,
    zone: `${COMPUTE}/projects/${project}/zones/${zone}`,
    status: shape.status ?? 'RUNNING',
    creationTimestamp: '2026-01-02T03:04:05.000-07:00',
    lastStartTimestamp: shape.started ?? '2026-02-03T04:05:06.000-07:00',
    labels: shape.labels ?? {},
    tags: { items: shape.tags ?? [], fingerprint: 'x' },
    serviceAccounts: [{ email: `runner@${project}.iam.gserviceaccount.com`, scopes: [] }],
    networkInterfaces: [
      nic(0, shape.ip ?? '10.0.0.5', network),
      ...(shape.secondIp === undefined ? [] : [nic(1, shape.secondIp, 'backend')]),
    ],
  };
}

/** Every zone that has nothing says so with a warning. */
export function aggregated(shapes: readonly InstanceShape[], nextPageToken?: string): Answer {
  const zones = new Map<string, object[]>();
  for (const shape of shapes) {
    const zone = `zones/${shape.zone ?? ZONE}`;
    zones.set(zone, [...(zones.get(zone) ?? []), instance(shape)]);
  }
  const items = Object.fromEntries([...zones].map(([zone, instances]) => [zone, { instances }]));
  const empty = { 'zones/us-central1-a': { warning: { code: 'NO_RESULTS_ON_PAGE', message: 'made up' } } };
  return json({
    kind: 'compute#instanceAggregatedList',
    items: { ...empty, ...items },
    ...(nextPageToken === undefined ? {} : { nextPageToken }),
  });
}

export interface RuleShape {
  readonly name: string;
  readonly network?: string;
  readonly priority?: number;
  readonly sources?: readonly string[];
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
  readonly tags?: readonly string[];
  readonly disabled?: boolean;
}

/** `tcp:22,8000-8080` or `all` */
export function rule(shape: RuleShape): object {
  const protocols = (texts: readonly string[]) =>
    texts.map((text) => {
      const [IPProtocol, ports] = text.split(':');
      return { IPProtocol, ...(ports === undefined ? {} : { ports: ports.split(',') }) };
    });
  return {
    kind: 'compute#firewall',
    name: shape.name,
    network: `${COMPUTE}/projects/${PROJECT}/global/networks/${shape.network ?? 'default'}`,
    direction: 'INGRESS',
    priority: shape.priority ?? 1000,
    disabled: shape.disabled ?? false,
    sourceRanges: shape.sources ?? ['35.235.240.0/20'],
    ...(shape.allow === undefined ? {} : { allowed: protocols(shape.allow) }),
    ...(shape.deny === undefined ? {} : { denied: protocols(shape.deny) }),
    ...(shape.tags === undefined ? {} : { targetTags: shape.tags }),
  };
}

export const firewall = (rules: readonly RuleShape[]): Answer =>
  json({ kind: 'compute#firewallList', items: rules.map(rule) });

export interface SqlShape {
  readonly name: string;
  readonly version?: string;
  readonly region?: string;
  readonly state?: string;
  readonly policy?: string;
  readonly privateIp?: string | null;
  readonly publicIp?: string;
  readonly replicas?: readonly string[];
}

export function sqlInstance(shape: SqlShape): object {
  const { name, region = 'europe-west4', privateIp = '10.20.0.3' } = shape;
  return {
    kind: 'sql#instance',
    name,
    project: PROJECT,
    region,
    gceZone: `${region}-b`,
    connectionName: `${PROJECT}:${region}:${name}`,
    databaseVersion: shape.version ?? 'POSTGRES_15',
    state: shape.state ?? 'RUNNABLE',
    replicaNames: shape.replicas ?? [],
    ipAddresses: [
      ...(privateIp === null ? [] : [{ type: 'PRIVATE', ipAddress: privateIp }]),
      ...(shape.publicIp === undefined ? [] : [{ type: 'PRIMARY', ipAddress: shape.publicIp }]),
    ],
    settings: {
      activationPolicy: shape.policy ?? 'ALWAYS',
      userLabels: {},
      ipConfiguration: privateIp === null ? {} : { privateNetwork: `projects/${PROJECT}/global/networks/default` },
    },
  };
}

export interface GroupShape {
  readonly name: string;
  readonly cidrs?: readonly string[];
  readonly fqdns?: readonly string[];
}

export const groups = (shapes: readonly GroupShape[]): Answer =>
  json({
    tunnelDestGroups: shapes.map(({ name, ...entries }) => ({
      name: `projects/4711/iap_tunnel/locations/europe-west4/destGroups/${name}`,
      ...entries,
    })),
  });

export const CALLS = {
  instances: `GET compute/v1/projects/${PROJECT}/aggregated/instances`,
  instance: (name: string, zone = ZONE) => `GET compute/v1/projects/${PROJECT}/zones/${zone}/instances/${name}`,
  firewalls: `GET compute/v1/projects/${PROJECT}/global/firewalls`,
  databases: `GET sql/v1/projects/${PROJECT}/instances`,
  database: (name: string) => `GET sql/v1/projects/${PROJECT}/instances/${name}`,
  groups: `GET iap/v1/projects/${PROJECT}/iap_tunnel/locations/europe-west4/destGroups`,
  token: 'POST oauth2/token',
  tokenInfo: 'POST oauth2/v3/tokeninfo',
} as const;

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret } from '../domain/secret.ts';
import { isoTime } from '../runtime/iso-time.ts';
import { Lifetime } from '../runtime/lifetime.ts';
import type { World } from '../runtime/world.ts';
import { readAccountChange } from './account-change.ts';
import type { ApiFault, ApiFaults } from './api-faults.ts';
import { startAwsApi } from './aws/api/aws-api.ts';
import { LabKms } from './aws/api/kms-api.ts';
import { SignInDesk, type SignInMode } from './aws/api/sign-in.ts';
import { userPrincipal } from './aws/api/sts-api.ts';
import { checkUpgrade } from './aws/api/upgrade-check.ts';
import { AwsSsh } from './aws/aws-ssh.ts';
import { FaultBoard, type FaultPatch } from './aws/faults.ts';
import { createGateway, type Gateway } from './aws/gateway.ts';
import { databaseLogin } from './aws/iam/database-login.ts';
import { IamDirectory } from './aws/iam/iam-directory.ts';
import { IamGate } from './aws/iam/iam-gate.ts';
import type { Inventory } from './aws/inventory.ts';
import { LogGroups } from './aws/log-groups.ts';
import { LabNetwork } from './aws/network.ts';
import { practiceAccount } from './aws/practice-account.ts';
import { KeyRing } from './aws/principals.ts';
import { SessionStore } from './aws/sessions.ts';
import { Trail } from './aws/trail.ts';
import type { CallLog } from './call-log.ts';
import { type GcpLab, type GcpLabOptions, startGcpLab } from './gcp/gcp-lab.ts';
import { PRACTICE_PROJECT_ID } from './gcp/practice-project.ts';
import { setIam } from './iam-settings.ts';
import { answerControl } from './lab-control.ts';
import { LabDatabases } from './lab-databases.ts';
import { joinEnvironments, type LabEnvironment, type LabProfiles, writeLabFiles } from './lab-environment.ts';
import { LabSecrets, PRACTICE_LOGIN } from './lab-secrets.ts';
import type { LabStatus } from './lab-status.ts';
import type { LabBackend, LoopbackAddress } from './loopback-services.ts';
import { NodeServices } from './node-services.ts';
import { AdmittedKeys } from './ssh/admitted-keys.ts';
import { LabSshd } from './ssh/lab-sshd.ts';
import { SshFaults, type SshPatch } from './ssh/ssh-faults.ts';

export interface LabOptions {
  /** Default: the practice account. */
  readonly inventory?: Inventory;
  /** Where the configuration files go; default: a temporary directory that is removed at the end. */
  readonly directory?: string;
  /** Real servers on loopback instead of the embedded ones. */
  readonly databases?: Readonly<Partial<Record<LabBackend, LoopbackAddress>>>;
  /** Who decides device sign-ins; default: a person, on the page. */
  readonly signIn?: SignInMode;
  readonly faults?: FaultPatch;
  readonly apiFaults?: readonly ApiFault[];
  /** No page of an API answer is longer; default: as long as AWS allows. */
  readonly pageLimit?: number;
  /** Of the machines' sshd, in both clouds. */
  readonly sshFaults?: SshPatch;
  /** Of the Google half. */
  readonly gcp?: GcpLabOptions;
}

/** A running embedded cloud. Disposing it ends every session and socket, and removes what it wrote if nobody said where. */
export interface Lab extends AsyncDisposable {
  /** `http://127.0.0.1:4711`: the endpoint of every AWS service. */
  readonly url: string;
  readonly port: number;
  readonly environment: LabEnvironment;
  /** What leads a program to the lab, as variables. */
  env(): Readonly<Record<string, string>>;
  /** `default` and `alice` may do everything, `mallory` may not start sessions, `expired` was valid yesterday. */
  readonly profiles: LabProfiles;
  /** For the control endpoint of this lab. */
  readonly controlToken: Secret;
  /** What the MFA devices show. */
  readonly mfaCode: string;
  readonly inventory: Inventory;
  /** Changes the account while the lab runs; see inventory.ts for ways to. */
  change(vary: (inventory: Inventory) => Inventory): void;
  readonly sessions: SessionStore;
  readonly gateway: Gateway;
  readonly faults: FaultBoard;
  readonly apiFaults: ApiFaults;
  readonly calls: CallLog;
  readonly network: LabNetwork;
  readonly databases: LabDatabases;
  readonly keys: KeyRing;
  /** Who may do what on AWS: policies decide once it enforces them. */
  readonly iam: IamGate;
  /** What CloudTrail has of the calls. */
  readonly trail: Trail;
  /** CloudWatch Logs. */
  readonly logs: LogGroups;
  readonly kms: LabKms;
  readonly desk: SignInDesk;
  /** The sshd of the practice machines, with their host keys and files. */
  readonly sshd: LabSshd;
  readonly sshFaults: SshFaults;
  /** Public keys that may log in: what EC2 Instance Connect pushed, and what a test adds as `authorized_keys`. */
  readonly sshKeys: AdmittedKeys;
  /** Of Secrets Manager by name, of Secret Manager by `projects/P/secrets/S`. */
  readonly secrets: LabSecrets;
  /** The Google half; everything above is the AWS one, but `databases`, `environment` and `ssh…`, which are both's. */
  readonly gcp: GcpLab;
  status(): LabStatus;
  /** Aborts when somebody asked the lab to stop through its control endpoint. */
  readonly stopRequested: AbortSignal;
}

const DAY = 86_400_000;

/**
 * Starts the embedded clouds on free loopback ports: the APIs, message gateway and managed nodes of AWS, the APIs and tunnel service of
 * Google Cloud. Databases and the small servers on the machines start at their first connection. Secrets are new at every start.
 *
 * @throws CT_LAB_FAILED
 */
export async function startLab(world: World, options: LabOptions = {}): Promise<Lab> {
  const lifetime = new Lifetime();
  try {
    return await buildLab(world, options, lifetime);
  } catch (error) {
    await lifetime[Symbol.asyncDispose]();
    throw error;
  }
}

async function buildLab(world: World, options: LabOptions, lifetime: Lifetime): Promise<Lab> {
  let inventory = options.inventory ?? practiceAccount();
  const startedAt = world.clock.wall();
  const stop = new AbortController();
  const controlToken = new Secret(world.random.bytes(32).toString('base64url'));
  const mfaCode = String(world.random.bytes(4).readUInt32BE() % 1_000_000).padStart(6, '0');
  const webIdentityToken = world.random.bytes(48).toString('base64url');

  const change = (vary: (before: Inventory) => Inventory) => {
    inventory = vary(inventory);
  };
  const keys = new KeyRing(world);
  const iam = new IamGate(world, () => inventory, new IamDirectory(world));
  const faults = new FaultBoard(options.faults);
  const desk = new SignInDesk(world, options.signIn ?? 'page');
  const services = lifetime.use(new NodeServices());
  const databases = lifetime.use(new LabDatabases(world, options.databases, (token) => tokenLogin(token)));
  const secrets = new LabSecrets({
    'shop/app_reader': PRACTICE_LOGIN,
    [`projects/${PRACTICE_PROJECT_ID}/secrets/app-reader`]: PRACTICE_LOGIN,
  });
  const sshFaults = new SshFaults(options.sshFaults);
  const sshd = lifetime.use(new LabSshd(world, sshFaults));
  const sshKeys = new AdmittedKeys(() => world.clock.wall());
  const awsSsh = new AwsSsh({ sshd, keys: sshKeys, inventory: () => inventory, network: () => network });
  const network: LabNetwork = new LabNetwork({
    inventory: () => inventory,
    database: (backend) => databases.address(backend),
    service: (machine, service) => services.address(machine, service),
    ssh: (instanceId) => awsSsh.address(instanceId),
  });
  const tokenLogin = (token: string) => databaseLogin({ inventory, keys, iam, now: world.clock.wall() }, token);
  const sessions = new SessionStore({
    world,
    streamBase: () => `ws://127.0.0.1:${api.port}`,
    resumeVerdict: (session) => faults.resumeVerdict(session),
    cellNumber: () => faults.cellNumber(),
  });
  const gateway = createGateway({
    world,
    sessions,
    faults,
    resolveDestination: network.resolve,
    verifyUpgrade: (request, sessionId) =>
      checkUpgrade({ world, keys, iam, sessions, faults: api.faults, calls: api.calls }, request, sessionId),
    vpcCidrs: (targetId) => network.vpcCidrs(targetId),
  });
  const context = {
    world,
    inventory: () => inventory,
    keys,
    sessions,
    change,
    iam,
    isNodeDead: (nodeId: string) => faults.isNodeDead(nodeId),
    pageLimit: options.pageLimit ?? Number.POSITIVE_INFINITY,
  };
  const kms = new LabKms(context);
  const trail = new Trail(world);
  const logs = new LogGroups();
  // Somebody who runs the account made it: cloudtun makes streams and no groups.
  logs.makeGroup('/cloudtun/audit');
  const api = lifetime.use(
    await startAwsApi({
      ...context,
      kms,
      sshKeys,
      secrets,
      desk,
      trail,
      logs,
      sts: { mfaCode, webIdentityToken },
      control: (request) => answerControl(controlled, controlToken, request),
      onUpgrade: (request, socket, head) => {
        if (!gateway.handleUpgrade(request, socket, head)) socket.destroy();
      },
    }),
  );
  // Closed before the API, whose server waits for the websockets that it handed over.
  lifetime.use(gateway);
  api.faults.set(options.apiFaults ?? []);

  const profiles = issueProfiles(keys, inventory);
  const directory = options.directory ?? temporaryDirectory(lifetime);
  const files = { directory, url: api.url, inventory, profiles, mfaCode, webIdentityToken };
  const gcp = lifetime.use(
    await startGcpLab(
      world,
      { directory: join(directory, 'gcp'), databases, services, sshd, sshKeys, secrets },
      options.gcp,
    ),
  );
  const environment = joinEnvironments(writeLabFiles(files, world.env), gcp.environment);

  const status = (): LabStatus => ({
    pid: world.pid,
    url: api.url,
    startedAt: isoTime(startedAt),
    account: inventory.account,
    region: inventory.region,
    mfaCode,
    signIn: desk.mode,
    sessions: sessions
      .list('Active')
      .map(({ sessionId, targetId, owner, status: state, documentName, properties }) => ({
        sessionId,
        targetId,
        owner,
        status: state,
        documentName,
        properties,
      })),
    endedSessions: sessions.list('History').length,
    violations: gateway.violations(),
    counters: gateway.counters(),
    apiCalls: api.calls.counts(),
    apiFaults: api.faults.list(),
    gatewayFaults: faults.plan(),
    sshFaults: sshFaults.patch(),
    gcp: gcp.status(),
    enforces: { aws: iam.settings.enforce, gcp: gcp.iam.enforce },
  });
  const controlled = {
    status,
    setApiFaults: (list: readonly ApiFault[]) => api.faults.set(list),
    setGatewayFaults: (patch: object) => faults.set(patch),
    setSessionFaults: (sessionId: string, patch: object | undefined) => faults.setSession(sessionId, patch),
    setGcpApiFaults: (list: readonly ApiFault[]) => gcp.apiFaults.set(list),
    setRelayFaults: (patch: object) => gcp.faults.set(patch),
    setSshFaults: (patch: object) => sshFaults.set(patch),
    setIam: (settings: unknown) => setIam({ iam, trail, gcp }, settings),
    revokeTokens: (email: string, forGood: boolean) => gcp.tokens.revoke(email, forGood),
    relayJournal: () => ({
      requests: gcp.relay.requests(),
      frames: Object.fromEntries(gcp.relay.sessions().map(({ sid }) => [sid, gcp.relay.journal(sid)])),
    }),
    setSignIn: (mode: SignInMode) => {
      desk.mode = mode;
    },
    changeAccount: (change: unknown) => {
      const { vary, expiresKeys } = readAccountChange(change);
      inventory = vary(inventory);
      if (expiresKeys) keys.expireTemporary();
    },
    requestStop: () => stop.abort(),
  };
  return {
    url: api.url,
    port: api.port,
    environment,
    env: () => environment.set,
    profiles,
    controlToken,
    mfaCode,
    get inventory() {
      return inventory;
    },
    change,
    iam,
    trail,
    logs,
    sessions,
    gateway,
    faults,
    apiFaults: api.faults,
    calls: api.calls,
    network,
    databases,
    keys,
    kms,
    desk,
    sshd,
    sshFaults,
    sshKeys,
    secrets,
    gcp,
    status,
    stopRequested: stop.signal,
    [Symbol.asyncDispose]: () => lifetime[Symbol.asyncDispose](),
  };
}

/** A key for each IAM user; `default` is the first of them, `expired` was valid until yesterday. */
function issueProfiles(keys: KeyRing, inventory: Inventory): LabProfiles {
  const issued = inventory.users.map((user) => {
    const key = keys.issueLongTerm(userPrincipal(inventory, user.name, user.denied));
    return [user.name, key] as const;
  });
  const [first] = issued;
  if (first === undefined) throw new RangeError('an inventory needs a user');
  return {
    default: first[1],
    ...Object.fromEntries(issued),
    expired: keys.issueTemporary(first[1].principal, -DAY),
  };
}

function temporaryDirectory(lifetime: Lifetime): string {
  const directory = mkdtempSync(join(tmpdir(), 'cloudtun-lab-'));
  lifetime.defer(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

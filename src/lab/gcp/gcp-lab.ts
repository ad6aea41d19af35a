import { CloudtunError } from '../../domain/errors.ts';
import { Lifetime } from '../../runtime/lifetime.ts';
import type { World } from '../../runtime/world.ts';
import type { ApiFault, ApiFaults } from '../api-faults.ts';
import type { CallLog } from '../call-log.ts';
import type { LabDatabases } from '../lab-databases.ts';
import type { LabEnvironment } from '../lab-environment.ts';
import type { LabSecrets } from '../lab-secrets.ts';
import type { NodeServices } from '../node-services.ts';
import type { AdmittedKeys } from '../ssh/admitted-keys.ts';
import type { LabSshd } from '../ssh/lab-sshd.ts';
import { startGcpApi } from './api/gcp-api.ts';
import { AuditLog } from './audit-log.ts';
import { type GcpProfiles, KEY_ACCOUNT, writeGcpFiles, writeServiceAccountFile } from './gcp-files.ts';
import { GcpLabNetwork } from './gcp-network.ts';
import { GcpSsh } from './gcp-ssh.ts';
import type { GcpLabStatus } from './gcp-status.ts';
import { GcpIam } from './iam/gcp-iam.ts';
import type { GcpInventory } from './inventory.ts';
import { OsLogin } from './os-login.ts';
import { FEDERATED, PRACTICE_PROJECT_ID, practiceProject } from './practice-project.ts';
import { makeCertificates } from './relay/certificates.ts';
import type { RelayDesk } from './relay/relay-desk.ts';
import { RelayFaults, type RelayPatch } from './relay/relay-faults.ts';
import { startRelay } from './relay/relay-server.ts';
import { ServiceAccountKeys } from './service-account-keys.ts';
import { TokenStore, USER_SCOPES } from './token-store.ts';
import { WrittenLog } from './written-log.ts';

export interface GcpLabOptions {
  /** Default: the practice project. */
  readonly inventory?: GcpInventory;
  readonly faults?: RelayPatch;
  readonly apiFaults?: readonly ApiFault[];
  /** No page of an API answer is longer; default: as long as Google allows. */
  readonly pageLimit?: number;
}

export interface GcpLabParts {
  /** Where credential files go. */
  readonly directory: string;
  readonly databases: LabDatabases;
  readonly services: NodeServices;
  readonly sshd: LabSshd;
  readonly sshKeys: AdmittedKeys;
  readonly secrets: LabSecrets;
}

/** The Google half of a running lab. */
export interface GcpLab extends AsyncDisposable {
  /** `http://127.0.0.1:4712`: what `CLOUDTUN_GCP_ENDPOINT` is set to. */
  readonly url: string;
  /** `wss://127.0.0.1:4713/v4`: what `CLOUDTUN_IAP_ENDPOINT` is set to. */
  readonly relayRoot: string;
  /** PEM: who vouches for the relay. */
  readonly authorityPem: string;
  readonly authorityFile: string;
  readonly environment: LabEnvironment;
  /**
   * Application Default Credentials, name → path: `alice` may do everything, `bob` no tunnels, `mallory` nothing, `expired` has a refresh
   * token that was revoked; `impersonated`, `federated` and `federated-impersonated` are alice and a build job in other ways.
   */
  readonly profiles: GcpProfiles;
  /** Path of a service account's key file. The key is made at the first call. */
  serviceAccountFile(): Promise<string>;
  readonly inventory: GcpInventory;
  /** Changes the cloud while the lab runs; see inventory.ts for ways to. */
  change(vary: (inventory: GcpInventory) => GcpInventory): void;
  /** Login profiles: which keys OS Login lets in. */
  readonly osLogin: OsLogin;
  /** Who may do what on Google Cloud: bindings decide once it enforces them. */
  readonly iam: GcpIam;
  readonly audit: AuditLog;
  /** What was written to Cloud Logging by others than itself. */
  readonly written: WrittenLog;
  readonly tokens: TokenStore;
  /** Sessions, violations, counters and journals of the tunnel service. */
  readonly relay: RelayDesk;
  readonly faults: RelayFaults;
  readonly apiFaults: ApiFaults;
  readonly calls: CallLog;
  readonly network: GcpLabNetwork;
  status(): GcpLabStatus;
}

const DAY = 86_400_000;
/** gcloud's own, which is no secret. */
const CLIENT_ID = '32555940559.apps.googleusercontent.com';
const AUDIENCE =
  '//iam.googleapis.com/projects/100000000001/locations/global/workloadIdentityPools/ci/providers/practice';

/** Starts the embedded Google Cloud: APIs on one port, the tunnel service on another. @throws CT_LAB_FAILED */
export async function startGcpLab(world: World, parts: GcpLabParts, options: GcpLabOptions = {}): Promise<GcpLab> {
  const lifetime = new Lifetime();
  try {
    return await buildGcpLab(world, parts, options, lifetime);
  } catch (error) {
    await lifetime[Symbol.asyncDispose]();
    throw error;
  }
}

async function buildGcpLab(
  world: World,
  { directory, databases, services, sshd, sshKeys, secrets: held }: GcpLabParts,
  options: GcpLabOptions,
  lifetime: Lifetime,
): Promise<GcpLab> {
  let inventory = options.inventory ?? practiceProject();
  const tokens = new TokenStore(world);
  const keys = new ServiceAccountKeys(world);
  const faults = new RelayFaults(options.faults);
  const certificates = makeCertificates(world);
  const secrets = {
    clientId: CLIENT_ID,
    clientSecret: world.random.bytes(18).toString('base64url'),
    subjectToken: world.random.bytes(48).toString('base64url'),
  };
  const change = (vary: (before: GcpInventory) => GcpInventory) => {
    inventory = vary(inventory);
  };
  const iam = new GcpIam(world, () => inventory);
  const audit = new AuditLog(world);
  const written = new WrittenLog();
  const osLogin = new OsLogin(() => world.clock.wall());
  const ssh = new GcpSsh({
    sshd,
    keys: sshKeys,
    osLogin,
    iam,
    inventory: () => inventory,
    network: () => network,
    now: () => world.clock.wall(),
  });
  const network: GcpLabNetwork = new GcpLabNetwork({
    inventory: () => inventory,
    iam,
    audit,
    database: (backend) => databases.address(backend),
    service: (machine, service) => services.address(machine, service),
    ssh: (instanceId) => ssh.address(instanceId),
  });
  const relay = lifetime.use(
    await startRelay({
      world,
      certificates,
      faults,
      checkToken: (token) => {
        const verdict = tokens.check(token);
        return verdict.ok ? { ok: true, email: verdict.grant.email } : verdict;
      },
      resolve: network.resolve,
      mayReturn: network.mayReturn,
    }),
  );
  tokens.onRevoked(() => relay.desk.recheckTokens());
  const account = inventory.people[0]?.email ?? '';
  const api = lifetime.use(
    await startGcpApi({
      world,
      inventory: () => inventory,
      change,
      osLogin,
      iam,
      audit,
      written,
      publishedHostKey: (instance) => ssh.publishedHostKey(instance),
      tokens,
      pageLimit: options.pageLimit ?? Number.POSITIVE_INFINITY,
      secrets: held,
      oauth: { ...secrets, keys, federated: FEDERATED, audience: AUDIENCE },
      metadata: { account: `bastion@${PRACTICE_PROJECT_ID}.iam.gserviceaccount.com`, projectId: PRACTICE_PROJECT_ID },
    }),
  );
  api.faults.set(options.apiFaults ?? []);
  const users = inventory.people.filter(({ kind }) => kind === 'user');
  const files = writeGcpFiles({
    directory,
    url: api.url,
    relayRoot: relay.root,
    authorityPem: certificates.authorityPem,
    ...secrets,
    refreshTokens: {
      ...Object.fromEntries(users.map(({ email }) => [email.replace(/@.*$/, ''), tokens.issueRefresh(email)])),
      expired: 'revoked yesterday',
    },
    accessToken: tokens.issue(account, USER_SCOPES, 365 * DAY).token,
    audience: AUDIENCE,
    account,
  });

  let isClosed = false;
  lifetime.defer(() => {
    isClosed = true;
  });

  const status = (): GcpLabStatus => {
    const open = relay.desk.openSessions();
    return {
      url: api.url,
      relayRoot: relay.root,
      projects: inventory.projects.map(({ id }) => id),
      account,
      sessions: open,
      endedSessions: relay.desk.sessions().filter(({ state }) => state === 'ended'),
      violations: relay.desk.violations(),
      counters: relay.desk.counters(),
      apiCalls: api.calls.counts(),
      apiFaults: api.faults.list(),
      relayFaults: faults.plan(),
    };
  };
  return {
    url: api.url,
    relayRoot: relay.root,
    authorityPem: certificates.authorityPem,
    authorityFile: files.authorityFile,
    environment: files.environment,
    profiles: files.profiles,
    serviceAccountFile: async () => {
      const key = await keys.of(KEY_ACCOUNT);
      // Making it takes a while: a lab that ended meanwhile must leave no key behind.
      if (isClosed) throw new CloudtunError('CT_LAB_FAILED', 'the lab has ended');
      writeServiceAccountFile(files.serviceAccountFile, key, api.url);
      return files.serviceAccountFile;
    },
    get inventory() {
      return inventory;
    },
    change,
    osLogin,
    iam,
    audit,
    written,
    tokens,
    relay: relay.desk,
    faults,
    apiFaults: api.faults,
    calls: api.calls,
    network,
    status,
    [Symbol.asyncDispose]: () => lifetime[Symbol.asyncDispose](),
  };
}

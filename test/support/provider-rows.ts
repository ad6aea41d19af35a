/** What `test/contract/provider.test.ts` needs to know of each cloud's half of the lab. A further cloud is a further row. */
import type { ProviderId } from '../../src/domain/target.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { withLab } from '../../src/lab/lab-environment.ts';
import type { CloudSelection, Provider } from '../../src/providers/provider.ts';
import { PROVIDERS } from '../../src/providers/registry.ts';
import { systemWorld } from '../../src/runtime/world.ts';

/** Who asks: somebody who may do everything, somebody the cloud refuses, somebody without credentials. */
export type Person = 'allowed' | 'denied' | 'nobody';

export interface ProviderRow {
  readonly cloud: ProviderId;
  /** @param home an empty directory */
  as(lab: Lab, person: Person, home: string, selection?: CloudSelection): Promise<Provider>;
  /** Variables that a process must have as well, for what only an SDK reads there. */
  processEnv(lab: Lab, person: Person): Readonly<Record<string, string>>;
  /** A machine that is up, and every way to write it. */
  readonly machine: { readonly id: string; readonly name: string; readonly spellings: readonly string[] };
  readonly misspelledMachine: string;
  readonly stoppedMachine: string;
  /** Two machines of one name. */
  readonly namesakes: string;
  readonly database: { readonly id: string; readonly engine: string; readonly spellings: readonly string[] };
  readonly misspelledDatabase: { readonly typed: string; readonly nearest: string };
  readonly stoppedDatabase: string;
  /** A database that nothing leads to. */
  readonly unreachableDatabase: string;
  /** A call that the cloud refuses to the denied person. */
  refused(provider: Provider, signal: AbortSignal): Promise<unknown>;
  /** What the person must be allowed to open the database, one of the actions. */
  readonly action: string;
  /** How many sessions the cloud has open; undefined where it keeps none before a websocket is. */
  openSessions(lab: Lab): number | undefined;
}

const PRACTICE = 'acme-practice/asia-northeast1-a';

export const PROVIDER_ROWS: readonly ProviderRow[] = [
  {
    cloud: 'aws',
    as: (lab, person, home, selection = {}) =>
      PROVIDERS.aws.create(
        systemWorld({ env: { ...withLab({ HOME: home }, lab.environment), ...awsEnv(lab, person, home) } }),
        { ...selection, ...(person === 'denied' && { profile: 'mallory' }) },
      ),
    processEnv: (lab, person) => (person === 'nobody' ? awsEnv(lab, person, '/nonexistent') : lab.env()),
    machine: {
      id: 'i-0a1b2c3d4e5f60001',
      name: 'bastion-a',
      spellings: ['bastion-a', 'i-0a1b2c3d4e5f60001', 'aws:bastion-a', '10.20.10.11'],
    },
    misspelledMachine: 'bastoin-a',
    stoppedMachine: 'batch-1',
    namesakes: 'app',
    database: { id: 'prod', engine: 'mysql', spellings: ['prod', 'aws:prod', 'rds:prod'] },
    misspelledDatabase: { typed: 'prdo', nearest: 'prod' },
    stoppedDatabase: 'archive',
    unreachableDatabase: 'legacy',
    refused: async ({ finder, gatekeeper }, signal) => {
      const database = await finder.findDatabase('prod', {}, signal);
      const route = await finder.routeTo(database, database.endpoint.port, {}, signal);
      return gatekeeper.ticketSource(route, {}).issue(route.to, signal);
    },
    action: 'ssm:StartSession',
    openSessions: (lab) => lab.sessions.list('Active').length,
  },
  {
    cloud: 'gcp',
    as: (lab, person, home, selection = {}) =>
      PROVIDERS.gcp.create(
        systemWorld({ env: { ...withLab({ HOME: home }, lab.environment), ...gcpEnv(lab, person, home) } }),
        selection,
      ),
    processEnv: () => ({}),
    machine: {
      id: `${PRACTICE}/web-1`,
      name: 'web-1',
      spellings: ['web-1', `${PRACTICE}/web-1`, 'gcp:web-1', '10.40.10.21', 'label:role=web'],
    },
    misspelledMachine: 'wbe-1',
    stoppedMachine: 'batch-g',
    namesakes: 'app',
    database: {
      id: 'acme-practice:asia-northeast1:reports',
      engine: 'postgres',
      spellings: ['reports', 'gcp:reports', 'sql:reports', 'acme-practice:asia-northeast1:reports'],
    },
    misspelledDatabase: { typed: 'reprots', nearest: 'reports' },
    stoppedDatabase: 'archive-g',
    unreachableDatabase: 'public-only',
    refused: ({ finder }, signal) => finder.findMachine('web-1', { mustExist: true }, signal),
    action: 'iap.tunnelDestGroups.accessViaIAP',
    openSessions: () => undefined,
  },
];

function awsEnv(lab: Lab, person: Person, home: string): Readonly<Record<string, string>> {
  if (person === 'allowed') return {};
  const none = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '', AWS_SESSION_TOKEN: '' };
  if (person === 'denied') return none;
  const files = { AWS_CONFIG_FILE: `${home}/config`, AWS_SHARED_CREDENTIALS_FILE: `${home}/credentials` };
  const { region } = lab.inventory;
  return { ...none, ...files, AWS_REGION: region, AWS_EC2_METADATA_DISABLED: 'true', AWS_ENDPOINT_URL: lab.url };
}

function gcpEnv(lab: Lab, person: Person, home: string): Readonly<Record<string, string>> {
  if (person === 'allowed') return {};
  const noToken = { CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: '', CLOUDSDK_CONFIG: home, NO_GCE_CHECK: 'true' };
  const file = person === 'denied' ? lab.gcp.profiles.mallory! : '';
  return { ...noToken, GOOGLE_APPLICATION_CREDENTIALS: file };
}

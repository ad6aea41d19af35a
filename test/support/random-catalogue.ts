import fc from 'fast-check';
import { stringify } from 'yaml';
import type { Catalogue } from '../../src/config/catalogue.ts';
import { checkFiles } from '../../src/config/check-files.ts';

/*
 * Catalogues as teams write them: a few machines in each cloud, databases and hosts behind them, logs, teams that share people, targets
 * and now and then a principal, ends before and after the day that is asked about.
 */

/** The day that random catalogues are asked about. */
export const RANDOM_AT = Date.parse('2027-01-15T12:00:00Z');

const PEOPLE = ['alice@example.com', 'bob@example.com', 'carol@example.com', 'dan'];
const UNTIL = [
  undefined,
  '2026-12-31',
  '2027-01-14',
  '2027-01-15',
  '2027-03-31',
  '2027-01-15T11:59:59Z',
  '2027-01-15T12:00:01Z',
];

const AWS_TARGETS = {
  bastion: { aws: { instance: 'i-0bastion', region: 'eu-west-1' } },
  tagged: { aws: { instance: 'tag:role=bastion', region: 'eu-west-1' }, user: 'ops' },
  hybrid: { aws: { instance: 'mi-0hybrid', region: 'eu-west-1' }, hostPort: 9200 },
  prod: { rds: 'orders-prod', via: 'bastion', user: 'app_reader', iamAuth: true },
  stock: { rds: 'stock', via: 'tagged', user: 'stock' },
  admin: { host: 'admin.internal', hostPort: 80, via: 'bastion' },
} as const;
const AWS_LOGS = {
  app: { target: 'bastion', file: '/var/log/app.log' },
  orders: { target: 'tagged', unit: 'orders.service' },
} as const;

const GCP_TARGETS = {
  web: { gcp: { instance: 'web-1', project: 'acme', zone: 'europe-west1-b' }, hostPort: 8080 },
  db: { gcp: { instance: 'db-proxy', project: 'acme', zone: 'europe-west1-c' }, hostPort: 5432 },
  inner: { host: 'inner.internal', hostPort: 443, via: 'web' },
} as const;
const GCP_LOGS = { access: { target: 'web', file: '/var/log/access.log' } } as const;

export type RandomCloud = 'aws' | 'gcp';

const PARTS = {
  aws: {
    targets: AWS_TARGETS,
    logs: AWS_LOGS,
    connect: ['hybrid', 'prod', 'stock', 'admin', 'both'],
    machines: ['bastion', 'tagged', 'hybrid'],
    groups: { both: ['prod', 'admin'] },
  },
  gcp: {
    targets: GCP_TARGETS,
    logs: GCP_LOGS,
    connect: ['web', 'db', 'both'],
    machines: ['web', 'db'],
    groups: { both: ['web', 'db'] },
  },
} as const;

const some = (names: readonly string[]) => fc.subarray([...names], { minLength: 0 });

function principal(cloud: RandomCloud, team: string) {
  // Now and then two teams are one principal.
  const name = fc.constantFrom(team, team, 'shared');
  if (cloud === 'gcp')
    return fc.oneof(
      name.map((one) => ({ group: `${one}@example.com` })),
      fc.constant({ user: 'alice@example.com' }),
    );
  return fc.oneof(
    name.map((one) => ({ permissionSet: one })),
    name.map((one) => ({ role: one })),
    fc.constantFrom('alice', 'robot').map((one) => ({ user: one })),
  );
}

function team(cloud: RandomCloud, name: string) {
  const { connect, machines, logs } = PARTS[cloud];
  return fc.record({
    [cloud]: principal(cloud, name),
    members: fc.subarray(PEOPLE),
    may: fc.record({
      connect: some(connect),
      ssh: some(machines),
      socks: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: some(machines) }),
      run: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: some(machines) }),
      logs: some(Object.keys(logs)),
    }),
    until: fc.constantFrom(...UNTIL),
  });
}

/** The file of a catalogue of one cloud. */
export function randomCatalogueText(cloud: RandomCloud): fc.Arbitrary<string> {
  const { targets, logs, groups } = PARTS[cloud];
  return fc
    .record(
      { readers: team(cloud, 'readers'), ops: team(cloud, 'ops'), batch: team(cloud, 'batch') },
      { requiredKeys: ['readers'] },
    )
    .map((teams) =>
      stringify({ version: 1, targets, logs, groups, teams: JSON.parse(JSON.stringify(teams)) as object }),
    );
}

/** The same, read. */
export const randomCatalogue = (cloud: RandomCloud): fc.Arbitrary<Catalogue> =>
  randomCatalogueText(cloud).map(catalogueOf);

/** What a text of `randomCatalogueText` says. */
export function catalogueOf(text: string): Catalogue {
  const { catalogue, problems } = checkFiles([{ path: 'cloudtun.yaml', label: 'cloudtun.yaml', text }]);
  if (catalogue === undefined) throw new Error(JSON.stringify(problems));
  return catalogue;
}

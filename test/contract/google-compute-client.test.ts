/**
 * Google's own client library reads what the lab's Compute API answers: it knows every field and type of the real one, and shares no
 * code with our REST client (docs/adr/0014-google-apis.md).
 */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { suite, test } from 'node:test';
import { USER_SCOPES } from '../../src/lab/gcp/token-store.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { ephemeralKey } from '../../src/ssh/ephemeral-key.ts';
import { testLab } from '../support/aws-lab.ts';

const PLACE = { project: 'acme-practice', zone: 'asia-northeast1-a' };
const MACHINE = { ...PLACE, instance: 'bastion-g' };

interface Metadata {
  readonly fingerprint: string;
  readonly items: readonly { readonly key: string; readonly value: string }[];
}

interface Instance {
  readonly name: string;
  readonly status: string;
  readonly networkInterfaces: readonly { readonly name: string; readonly networkIP: string }[];
  readonly metadata: Metadata;
}

interface Started {
  readonly latestResponse: { readonly name: string };
}

interface ZoneOperationsClient {
  wait(request: object): Promise<readonly [{ readonly status: string }]>;
  close(): Promise<void>;
}

/** What is used of it. Its own types are 33 MB, which the compiler would read at every build. */
interface InstancesClient {
  list(request: object): Promise<readonly [readonly Instance[]]>;
  get(request: object): Promise<readonly [Instance]>;
  aggregatedListAsync(request: object): AsyncIterable<readonly [string, { readonly instances?: readonly Instance[] }]>;
  setMetadata(request: object): Promise<readonly [Started]>;
  close(): Promise<void>;
}

interface FirewallsClient {
  list(
    request: object,
  ): Promise<readonly [readonly { readonly name: string; readonly sourceRanges: readonly string[] }[]]>;
  close(): Promise<void>;
}

interface Compute {
  readonly InstancesClient: new (options: object) => InstancesClient;
  readonly FirewallsClient: new (options: object) => FirewallsClient;
  readonly ZoneOperationsClient: new (options: object) => ZoneOperationsClient;
}

const load = createRequire(import.meta.url);

function clients(lab: Lab, email: string) {
  const { InstancesClient, FirewallsClient, ZoneOperationsClient } = load('@google-cloud/compute') as Compute;
  const { OAuth2Client } = load('google-auth-library') as typeof import('google-auth-library');
  const authClient = new OAuth2Client();
  authClient.setCredentials({ access_token: lab.gcp.tokens.issue(email, USER_SCOPES).token });
  const { hostname, port } = new URL(lab.env().CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE ?? '');
  const options = { apiEndpoint: hostname, port: Number(port), protocol: 'http', fallback: true, authClient };
  const instances = new InstancesClient(options);
  const firewalls = new FirewallsClient(options);
  const operations = new ZoneOperationsClient(options);
  const close = () => Promise.all([instances, firewalls, operations].map((client) => client.close()));
  return { instances, firewalls, operations, close };
}

suite("the lab's Compute API, read by @google-cloud/compute", () => {
  test('machines of a zone, one, all zones, firewall rules', async (t) => {
    const lab = await testLab(t);
    const { instances, firewalls, close } = clients(lab, 'alice@example.com');
    const [listed] = await instances.list(PLACE);
    const known = lab.gcp.inventory.instances.filter(
      ({ project, zone }) => project === PLACE.project && zone === PLACE.zone,
    );
    assert.deepEqual(
      listed.map(({ name, networkInterfaces }) => [name, networkInterfaces[0]?.networkIP]).sort(),
      known.map(({ name, ip }) => [name, ip]).sort(),
    );
    const [one] = await instances.get({ ...PLACE, instance: 'web-1' });
    assert.deepEqual([one.status, one.networkInterfaces[0]?.name], ['RUNNING', 'nic0']);
    const zones = new Map<string, number>();
    for await (const [zone, { instances: there = [] }] of instances.aggregatedListAsync({ project: PLACE.project })) {
      if (there.length > 0) zones.set(zone, there.length);
    }
    assert.equal(zones.get(`zones/${PLACE.zone}`), known.length);
    const [rules] = await firewalls.list({ project: PLACE.project });
    assert.ok(rules.find(({ name }) => name === 'allow-iap')?.sourceRanges.includes('35.235.240.0/20'));
    await close();
  });

  test('metadata is written once for each fingerprint, and the operation ends', async (t) => {
    const lab = await testLab(t);
    const { instances, operations, close } = clients(lab, 'alice@example.com');
    const [before] = await instances.get(MACHINE);
    const { fingerprint } = before.metadata;
    const line = `alice:${ephemeralKey('contract').publicKey}`;
    const metadataResource = { fingerprint, items: [...before.metadata.items, { key: 'ssh-keys', value: line }] };
    const [{ latestResponse }] = await instances.setMetadata({ ...MACHINE, metadataResource });
    const [done] = await operations.wait({ ...PLACE, operation: latestResponse.name });
    assert.equal(done.status, 'DONE');
    const [after] = await instances.get(MACHINE);
    assert.equal(after.metadata.items.find(({ key }) => key === 'ssh-keys')?.value, line);
    assert.notEqual(after.metadata.fingerprint, fingerprint);
    await assert.rejects(instances.setMetadata({ ...MACHINE, metadataResource }), /fingerprint/);
    await close();
  });

  test('who may not list is refused in a way that the library understands', async (t) => {
    const lab = await testLab(t);
    const { instances, close } = clients(lab, 'mallory@example.com');
    await assert.rejects(instances.list(PLACE), { code: 7 });
    await close();
  });
});

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { CloudtunError } from '../../src/domain/errors.ts';
import type { Route } from '../../src/domain/target.ts';
import type { IapRelayTicket } from '../../src/domain/ticket.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { withLab } from '../../src/lab/lab-environment.ts';
import { gcpProvider } from '../../src/providers/gcp/gcp-provider.ts';
import { unseenMachine } from '../../src/providers/gcp/machines.ts';
import type { CloudSelection, Provider } from '../../src/providers/provider.ts';
import { systemWorld } from '../../src/runtime/world.ts';
import { testLab } from '../support/aws-lab.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/* The provider as it is, over real sockets, against the lab's APIs. */

const signal = new AbortController().signal;
type Context = Parameters<typeof temporaryDirectory>[0];

/** A person of the lab (a name of `lab.gcp.profiles`), or credentials in another way by `env`. */
async function person(
  context: Context,
  lab: Lab,
  name: string | undefined,
  selection: CloudSelection = {},
  env: Record<string, string> = {},
): Promise<Provider> {
  const home = await temporaryDirectory(context);
  const inLab = withLab({ HOME: home, PATH: process.env.PATH }, lab.environment);
  const credential = name === undefined ? {} : { GOOGLE_APPLICATION_CREDENTIALS: lab.gcp.profiles[name]! };
  const provider = await gcpProvider(systemWorld({ env: { ...inLab, ...credential, ...env } }), selection);
  context.after(() => provider[Symbol.asyncDispose]() as Promise<void>);
  return provider;
}

suite('Google Cloud against the lab', async () => {
  test('whoever signs in, in every way', async (t) => {
    const lab = await testLab(t);
    const { gcp } = lab;
    const opener = 'tunnel-opener@acme-practice.iam.gserviceaccount.com';
    const key = await gcp.serviceAccountFile();
    const noFile = { GOOGLE_APPLICATION_CREDENTIALS: '' };
    const cases: [who: Provider, id: string, source: RegExp][] = [
      [await person(t, lab, 'alice'), 'alice@example.com', /^GOOGLE_APPLICATION_CREDENTIALS \(user\)$/],
      [await person(t, lab, 'bob'), 'bob@example.com', /user/],
      [await person(t, lab, 'impersonated'), opener, /^impersonating .* via .*\(user\)/],
      [await person(t, lab, 'federated-impersonated'), opener, /workload identity federation/],
      [
        await person(t, lab, 'alice', {}, { CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT: opener }),
        opener,
        /^impersonating .* via GOOGLE_APPLICATION_CREDENTIALS \(user\)$/,
      ],
      [
        await person(t, lab, undefined, {}, { GOOGLE_APPLICATION_CREDENTIALS: key }),
        'deployer@acme-practice.iam.gserviceaccount.com',
        /service account key/,
      ],
      [await person(t, lab, undefined, {}, noFile), 'alice@example.com', /access token file/],
      [
        await person(t, lab, undefined, {}, { ...noFile, CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: '' }),
        'alice@example.com',
        /^application default credentials \(user\)$/,
      ],
      [
        await person(
          t,
          lab,
          undefined,
          {},
          {
            ...noFile,
            CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: '',
            CLOUDSDK_CONFIG: '/nonexistent',
            CLOUDSDK_CORE_CHECK_GCE_METADATA: 'true',
          },
        ),
        'bastion@acme-practice.iam.gserviceaccount.com',
        /metadata server/,
      ],
    ];
    for (const [provider, id, source] of cases) {
      const identity = await provider.gatekeeper.whoami(signal);
      assert.equal(identity.id, id);
      assert.match(identity.source, source);
      const route = await provider.finder.routeTo(
        unseenMachine('acme-practice', 'asia-northeast1-a', 'web-1'),
        80,
        {},
        signal,
      );
      const ticket = (await provider.gatekeeper.ticketSource(route, {}).issue({ port: 80 }, signal)) as IapRelayTicket;
      assert.equal(ticket.root, gcp.relayRoot);
      const verdict = gcp.tokens.check(ticket.token.reveal());
      assert.equal(verdict.ok && verdict.grant.email, id);
    }
    await assert.rejects((await person(t, lab, 'expired')).gatekeeper.whoami(signal), {
      code: 'CT_CREDENTIALS_EXPIRED',
    });
  });

  test('machines, hosts and databases by every name', async (t) => {
    const lab = await testLab(t);
    const { finder } = await person(t, lab, 'alice');
    const web = 'acme-practice/asia-northeast1-a/web-1';
    for (const text of ['web-1', '10.40.10.21', '4100000000000000001', 'label:role=web', web]) {
      assert.equal((await finder.findMachine(text, { mustExist: true }, signal)).id, web, text);
    }
    await assert.rejects(finder.findMachine('app', {}, signal), { code: 'CT_TARGET_AMBIGUOUS' });
    await assert.rejects(finder.findMachine('batch-g', {}, signal), { code: 'CT_TARGET_STOPPED' });
    await assert.rejects(finder.findMachine('wbe-1', {}, signal), (error: CloudtunError) => {
      assert.equal(error.hints[0], 'did you mean: web-1');
      return error.code === 'CT_TARGET_NOT_FOUND';
    });
    for (const text of ['reports', 'acme-practice:asia-northeast1:reports']) {
      const database = await finder.findDatabase(text, {}, signal);
      const route = await finder.routeTo(database, 5432, {}, signal);
      assert.equal(route.node.id, '10.40.32.5@asia-northeast1/practice-vpc/private-sql');
    }
    const reports = await finder.findDatabase('reports', {}, signal);
    const forwarded = await finder.routeTo(reports, 5432, { via: 'bastion-g:5432' }, signal);
    assert.deepEqual([forwarded.node.name, forwarded.to], ['bastion-g', { port: 5432 }]);
    const open = await finder.findDatabase('public-only', {}, signal);
    await assert.rejects(finder.routeTo(open, 5432, {}, signal), { code: 'CT_NO_BASTION' });
    await assert.rejects(finder.findDatabase('archive-g', {}, signal), { code: 'CT_TARGET_STOPPED' });
  });

  test('pages, several projects, an API that is not enabled', async (t) => {
    const lab = await testLab(t, { gcp: { pageLimit: 2 } });
    const both = await person(t, lab, 'alice', { project: 'acme-practice,acme-analytics' });
    assert.equal((await both.finder.findMachine('etl-1', {}, signal)).id, 'acme-analytics/asia-northeast1-c/etl-1');
    const listed = await both.finder.list({}, signal);
    assert.equal(listed.length, lab.gcp.inventory.instances.length + lab.gcp.inventory.databases.length);
    const remarks = Object.fromEntries(listed.map(({ target, remark }) => [target.id, remark]));
    assert.match(remarks['acme-practice/asia-northeast1-a/web-1'] ?? '', /let in by allow-iap/);
    assert.match(remarks['acme-practice/asia-northeast1-b/closed-1'] ?? '', /no firewall rule/);
    assert.equal(remarks['acme-practice:asia-northeast1:reports'], 'via private-sql');
    const frozen = await person(t, lab, 'alice', { project: 'acme-frozen' });
    await assert.rejects(frozen.finder.findMachine('x', {}, signal), { code: 'CT_API_DISABLED' });
    const mallory = await person(t, lab, 'mallory');
    await assert.rejects(mallory.finder.list({}, signal), { code: 'CT_DENIED' });
  });

  test("what the relay's refusals mean", async (t) => {
    const lab = await testLab(t);
    const alice = await person(t, lab, 'alice');
    const explained = async (
      provider: Provider,
      zone: string,
      instance: string,
      code: CloudtunError['code'],
      port = 80,
    ) => {
      const node = unseenMachine('acme-practice', `asia-northeast1-${zone}`, instance);
      const route: Route = { provider: 'gcp', target: node, node, to: { port }, reasons: [], rejected: [] };
      const tickets = provider.gatekeeper.ticketSource(route, {});
      return tickets.diagnose!(new CloudtunError(code, 'the relay said no'), { port }, signal);
    };
    const silent = await explained(alice, 'b', 'closed-1', 'CT_REMOTE_SILENT');
    assert.match(silent.message, /the firewall does not let Identity-Aware Proxy in to port 80 of closed-1/);
    const waiting = async (zone: string, instance: string) => {
      const target = await alice.finder.findMachine(`acme-practice/asia-northeast1-${zone}/${instance}`, {}, signal);
      const route = await alice.finder.routeTo(target, 80, {}, signal);
      return alice.gatekeeper.ticketSource(route, {}).whySilent!({ port: 80 }, signal);
    };
    assert.match((await waiting('b', 'closed-1'))?.message ?? '', /the firewall does not let/);
    assert.equal(await waiting('a', 'quiet-1'), undefined);
    const quiet = await explained(alice, 'a', 'quiet-1', 'CT_REMOTE_REFUSED');
    assert.match(quiet.message, /nobody answers on port 80 of quiet-1/);
    assert.equal((await explained(alice, 'b', 'batch-g', 'CT_TARGET_NOT_FOUND')).code, 'CT_TARGET_STOPPED');
    const elsewhere = await explained(alice, 'b', 'web-1', 'CT_TARGET_NOT_FOUND');
    assert.match(elsewhere.message, /web-1 is not in zone asia-northeast1-b; it is in asia-northeast1-a/);
    const bob = await explained(await person(t, lab, 'bob'), 'a', 'web-1', 'CT_DENIED');
    assert.equal(bob.message, 'bob@example.com may not open a tunnel to web-1');
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import { CloudtunError } from '../../../../src/domain/errors.ts';
import type { NodeTarget, Route } from '../../../../src/domain/target.ts';
import { type IapRelayTicket, sessionToEnd } from '../../../../src/domain/ticket.ts';
import { groupHost } from '../../../../src/providers/gcp/find-machine.ts';
import { unseenMachine } from '../../../../src/providers/gcp/machines.ts';
import type { SessionOptions } from '../../../../src/providers/provider.ts';
import {
  aggregated,
  CALLS,
  type FakeGcp,
  type FakeGcpOptions,
  fakeGcp,
  firewall,
  groups,
  type InstanceShape,
  instance,
  json,
  refusal,
  writeBelow,
} from '../../../support/gcp-answers.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

const signal = new AbortController().signal;
const WEB = unseenMachine('acme', 'europe-west4-a', 'web-1');
const HOST = groupHost('acme', { host: '10.0.0.7', region: 'europe-west4', network: 'default', group: 'databases' });
const TO = { port: 22 };
const routeTo = (node: NodeTarget): Route => ({
  provider: 'gcp',
  target: node,
  node,
  to: TO,
  reasons: [],
  rejected: [],
});

type Context = Parameters<typeof temporaryDirectory>[0];
const cloud = async (context: Context, options: Omit<FakeGcpOptions, 'home'> = {}) =>
  fakeGcp({ home: await temporaryDirectory(context), ...options });
const source = (gcp: FakeGcp, node: NodeTarget = WEB, options: SessionOptions = {}) =>
  gcp.provider.gatekeeper.ticketSource(routeTo(node), options);
const issue = (gcp: FakeGcp, node: NodeTarget = WEB, options: SessionOptions = {}) =>
  source(gcp, node, options).issue(TO, signal) as Promise<IapRelayTicket>;

describe('tickets', () => {
  test('for an instance', async (t) => {
    await using gcp = await cloud(t);
    const ticket = await issue(gcp);
    assert.deepEqual(
      { ...ticket, token: ticket.token.reveal() },
      {
        kind: 'iap-relay',
        root: 'wss://tunnel.cloudproxy.app/v4',
        target: {
          kind: 'instance',
          project: 'acme',
          zone: 'europe-west4-a',
          instance: 'web-1',
          networkInterface: 'nic0',
        },
        token: 'ya29.token-1',
        to: TO,
      },
    );
    assert.doesNotMatch(inspect(ticket) + JSON.stringify(ticket), /ya29/);
    assert.equal(sessionToEnd(ticket), undefined);
    await source(gcp).release(ticket);
    await gcp.provider.gatekeeper.endSession('any', signal);
    assert.equal(gcp.asked.length, 1);
  });

  test('for a host of a destination group, with a reason', async (t) => {
    await using gcp = await cloud(t, { env: { CLOUDSDK_CORE_REQUEST_REASON: 'standing' } });
    const ticket = await issue(gcp, HOST, { reason: 'störung 42' });
    assert.deepEqual(ticket.target, {
      kind: 'host',
      project: 'acme',
      region: 'europe-west4',
      network: 'default',
      host: '10.0.0.7',
      group: 'databases',
    });
    assert.equal(ticket.reason, 'st%C3%B6rung 42');
    assert.equal((await issue(gcp, HOST)).reason, 'standing');
  });

  test('to another relay', async (t) => {
    await using gcp = await cloud(t, { env: { CLOUDTUN_IAP_ENDPOINT: 'wss://127.0.0.1:8443/v4' } });
    assert.equal((await issue(gcp)).root, 'wss://127.0.0.1:8443/v4');
    assert.equal(gcp.provider.endpoint, 'wss://127.0.0.1:8443/v4');
  });

  test('what cannot be asked for', async (t) => {
    await using gcp = await cloud(t, { env: { CLOUDTUN_IAP_ENDPOINT: 'ws://relay.example' } });
    assert.throws(() => source(gcp), { code: 'CT_CONFIG' });
    assert.throws(() => source(gcp, WEB, { document: 'x' }), { code: 'CT_USAGE' });
  });

  test('reasons of a wrong length', async (t) => {
    await using gcp = await cloud(t);
    for (const reason of ['', 'x'.repeat(257)]) assert.throws(() => source(gcp, WEB, { reason }), { code: 'CT_USAGE' });
  });

  test('with a client certificate, which has a host of its own', async (t) => {
    const home = await temporaryDirectory(t);
    const env = { CLOUDSDK_CONTEXT_AWARE_USE_CLIENT_CERTIFICATE: 'true' };
    await using gcp = await fakeGcp({ home, env });
    await assert.rejects(issue(gcp), { code: 'CT_CONFIG', message: /certificate_config\.json/ });
    const cert_path = writeBelow(home, 'cert.pem', 'CERTIFICATE');
    const key_path = writeBelow(home, 'key.pem', 'KEY');
    writeBelow(home, '.config/gcloud/certificate_config.json', { cert_configs: { workload: { cert_path, key_path } } });
    const ticket = await issue(gcp);
    assert.equal(ticket.root, 'wss://mtls.tunnel.cloudproxy.app/v4');
    assert.equal(ticket.clientCertificate?.certificate, 'CERTIFICATE');
    assert.equal(ticket.clientCertificate?.key.reveal(), 'KEY');
  });

  test('what IAM will be asked', async (t) => {
    await using gcp = await cloud(t);
    const { gatekeeper } = gcp.provider;
    assert.deepEqual(gatekeeper.explain(routeTo(WEB), {}), {
      actions: [
        {
          action: 'iap.tunnelInstances.accessViaIAP',
          resource: 'projects/acme/iap_tunnel/zones/europe-west4-a/instances/web-1',
        },
      ],
    });
    assert.deepEqual(gatekeeper.explain(routeTo(HOST), {}).actions, [
      {
        action: 'iap.tunnelDestGroups.accessViaIAP',
        resource: 'projects/acme/iap_tunnel/locations/europe-west4/destGroups/databases',
      },
    ]);
  });
});

describe('what a refusal of the relay means', () => {
  const refused = new CloudtunError('CT_REMOTE_REFUSED', 'the relay says 4003');
  const unknown = new CloudtunError('CT_TARGET_NOT_FOUND', 'the relay says 4047');
  const denied = new CloudtunError('CT_DENIED', 'the relay says 4033', { details: [['relay', 'close 4033']] });
  const diagnose = (gcp: FakeGcp, error: CloudtunError, node: NodeTarget = WEB, within = signal) =>
    source(gcp, node).diagnose!(error, TO, within);
  const machine = (gcp: FakeGcp, shape: Partial<InstanceShape> = {}) =>
    gcp.on(CALLS.instance('web-1'), json(instance({ name: 'web-1', ...shape })));

  test('stopped', async (t) => {
    await using gcp = await cloud(t);
    machine(gcp, { status: 'TERMINATED' });
    const error = await diagnose(gcp, unknown);
    assert.equal(error.code, 'CT_TARGET_STOPPED');
    assert.equal(error.cause, unknown);
    assert.match(error.hints[0]!, /gcloud compute instances start web-1 --zone=europe-west4-a --project=acme/);
  });

  test('still starting', async (t) => {
    await using gcp = await cloud(t);
    machine(gcp, { status: 'STAGING' });
    assert.equal((await diagnose(gcp, unknown)).code, 'CT_TARGET_OFFLINE');
  });

  test('in another zone', async (t) => {
    await using gcp = await cloud(t);
    gcp.on(CALLS.instance('web-1'), refusal(404, 'notFound'));
    gcp.on(CALLS.instances, aggregated([{ name: 'web-1', zone: 'us-central1-f' }]));
    const error = await diagnose(gcp, unknown);
    assert.equal(error.code, 'CT_TARGET_NOT_FOUND');
    assert.equal(error.message, 'web-1 is not in zone europe-west4-a; it is in us-central1-f');
    assert.match(error.hints[0]!, /acme\/us-central1-f\/web-1, or --zone us-central1-f/);
  });

  test('nowhere', async (t) => {
    await using gcp = await cloud(t);
    gcp.on(CALLS.instance('web-1'), refusal(404, 'notFound'));
    gcp.on(CALLS.instances, aggregated([]));
    assert.match((await diagnose(gcp, unknown)).message, /no instance web-1 in acme/);
  });

  test('the firewall keeps the relay out', async (t) => {
    await using gcp = await cloud(t);
    machine(gcp).on(CALLS.firewalls, firewall([{ name: 'office', sources: ['203.0.113.0/24'], allow: ['tcp'] }]));
    const error = await diagnose(gcp, refused);
    assert.equal(error.code, 'CT_REMOTE_REFUSED');
    assert.equal(error.message, 'the firewall does not let Identity-Aware Proxy in to port 22 of web-1');
    assert.deepEqual(error.details[0], ['firewall', '35.235.240.0/20 on tcp:22: no rule admits it']);
    assert.match(
      error.hints[0]!,
      /firewall-rules create allow-iap .*--source-ranges=35\.235\.240\.0\/20 --allow=tcp:22/,
    );
  });

  test('a rule keeps it out', async (t) => {
    await using gcp = await cloud(t);
    machine(gcp).on(CALLS.firewalls, firewall([{ name: 'no', sources: ['0.0.0.0/0'], deny: ['all'] }]));
    assert.match(String((await diagnose(gcp, refused)).details[0]), /the rule no keeps it out/);
  });

  test('nobody listens', async (t) => {
    await using gcp = await cloud(t);
    machine(gcp).on(CALLS.firewalls, firewall([{ name: 'iap', allow: ['tcp:22'] }]));
    const error = await diagnose(gcp, new CloudtunError('CT_REMOTE_SILENT', 'no answer'));
    assert.equal(error.message, 'nobody answers on port 22 of web-1');
    assert.match(String(error.details), /is let in by iap/);
  });

  test('nobody listens yet: it was started a minute ago', async (t) => {
    await using gcp = await cloud(t);
    machine(gcp, { started: '2026-11-22T08:59:00Z' }).on(CALLS.firewalls, firewall([{ name: 'iap', allow: ['tcp'] }]));
    assert.match(String((await diagnose(gcp, refused)).details), /started,60 s ago: it may still be booting/);
  });

  test('firewall rules that may not be seen', async (t) => {
    await using gcp = await cloud(t);
    machine(gcp).on(CALLS.firewalls, refusal(403, 'forbidden'));
    const error = await diagnose(gcp, refused);
    assert.match(String(error.details), /its rules could not be looked up/);
    assert.match(error.hints.join(), /35\.235\.240\.0\/20/);
  });

  test('an interface that it has not', async (t) => {
    await using gcp = await cloud(t);
    machine(gcp);
    const error = await diagnose(gcp, refused, { ...WEB, networkInterface: 'nic3' });
    assert.match(error.message, /no network interface nic3/);
  });

  test('a host that does not answer', async (t) => {
    await using gcp = await cloud(t);
    const error = await diagnose(gcp, refused, HOST);
    assert.equal(error.message, 'nobody answers on port 22 of 10.0.0.7');
    assert.deepEqual(gcp.calls(), []);
  });

  const permissions = (resource: string) => `POST iap/v1/${resource}:testIamPermissions`;
  const ON_WEB = permissions('projects/acme/iap_tunnel/zones/europe-west4-a/instances/web-1');

  test('denied: the permission is missing', async (t) => {
    await using gcp = await cloud(t);
    gcp.on(ON_WEB, json({}));
    const error = await diagnose(gcp, denied);
    assert.equal(error.message, 'alice@example.com may not open a tunnel to web-1');
    assert.deepEqual(error.details, [
      ['identity', 'alice@example.com (application default credentials (user))'],
      ['missing', 'iap.tunnelInstances.accessViaIAP on projects/acme/iap_tunnel/zones/europe-west4-a/instances/web-1'],
      ['relay', 'close 4033'],
    ]);
    assert.match(error.hints.join(), /roles\/iap\.tunnelResourceAccessor.*project acme exists/);
    assert.deepEqual(JSON.parse(gcp.asked.at(-1)!.body), { permissions: ['iap.tunnelInstances.accessViaIAP'] });
  });

  test('denied: granted, but a condition speaks against it', async (t) => {
    await using gcp = await cloud(t);
    gcp.on(ON_WEB, json({ permissions: ['iap.tunnelInstances.accessViaIAP'] }));
    const error = await diagnose(gcp, denied);
    assert.match(error.message, /may open tunnels to web-1, but not this one/);
    assert.match(error.hints[0]!, /condition.*port 22/);
  });

  const ON_GROUP = permissions('projects/acme/iap_tunnel/locations/europe-west4/destGroups/databases');
  const GRANTED = json({ permissions: ['iap.tunnelDestGroups.accessViaIAP'] });
  for (const [name, there, message, words] of [
    [
      'no such group',
      [{ name: 'others', cidrs: ['10.0.0.0/29'] }],
      'there is no destination group databases in europe-west4 of acme',
      /groups,others.*10\.0\.0\.7 is held by others/,
    ],
    ['no group at all', [], 'there is no destination group databases in europe-west4 of acme', /groups,none.*no group/],
    [
      'a group that holds other hosts',
      [{ name: 'databases', cidrs: ['10.9.0.0/24'], fqdns: ['*.internal'] }],
      'the destination group databases does not hold 10.0.0.7',
      /it holds,10\.9\.0\.0\/24, \*\.internal,relay,close 4033.*no group in europe-west4 holds 10\.0\.0\.7/,
    ],
  ] as const) {
    test(`denied, which the relay also says of ${name}`, async (t) => {
      await using gcp = await cloud(t);
      gcp.on(ON_GROUP, GRANTED).on(CALLS.groups, groups(there));
      const error = await diagnose(gcp, denied, HOST);
      assert.deepEqual([error.code, error.message, error.cause], ['CT_TARGET_NOT_FOUND', message, denied]);
      assert.match(`${error.details.join()} ${error.hints.join()}`, words);
    });
  }

  test('denied, and the group holds the host, or may not be seen', async (t) => {
    await using gcp = await cloud(t);
    gcp.on(ON_GROUP, GRANTED).on(CALLS.groups, groups([{ name: 'databases', cidrs: ['10.0.0.0/24'] }]));
    assert.match((await diagnose(gcp, denied, HOST)).hints[0]!, /condition/);
    gcp.on(CALLS.groups, refusal(403, 'forbidden'));
    assert.match((await diagnose(gcp, denied, HOST)).hints[0]!, /condition/);
  });

  test('denied: nobody can say more', async (t) => {
    await using gcp = await cloud(t);
    gcp.on(ON_WEB, refusal(403, 'forbidden'));
    assert.equal((await diagnose(gcp, denied)).code, 'CT_DENIED');
  });

  test('other errors, and those nothing is found out about, stay as they are', async (t) => {
    await using gcp = await cloud(t);
    for (const said of [
      new CloudtunError('CT_NETWORK', 'x'),
      new CloudtunError('CT_DENIED', 'by a policy', { details: [['relay', 'close 4054 "ID: 7"']] }),
      new CloudtunError('CT_REMOTE_REFUSED', 'closed at once', { details: [['relay', 'close 4010']] }),
    ]) {
      assert.equal(await diagnose(gcp, said), said);
    }
    assert.deepEqual(gcp.asked, []);
    gcp.on(CALLS.instance('web-1'), refusal(403, 'forbidden'));
    assert.equal(await diagnose(gcp, refused), refused);
    assert.equal(await diagnose(gcp, refused, WEB, AbortSignal.abort()), refused);
  });

  test('five seconds are enough', async (t) => {
    await using gcp = await cloud(t);
    await issue(gcp);
    // Busy for ever: the tries would take longer than anybody waits for an error.
    gcp.on(CALLS.instance('web-1'), { status: 503, body: '', headers: { 'retry-after': '4' } });
    const waiting = diagnose(gcp, refused);
    for (let round = 0; round < 10; round += 1) await gcp.manual.clock.advance(1_000);
    assert.equal(await waiting, refused);
    assert.ok(gcp.calls().length <= 2, String(gcp.calls().length));
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CloudtunError } from '../../src/domain/errors.ts';
import { targetLabel } from '../../src/domain/target.ts';
import { type Lab, type LabOptions, startLab } from '../../src/lab/lab.ts';
import type { AwsProvider } from '../../src/providers/aws/aws-provider.ts';
import { awsProvider } from '../../src/providers/aws/aws-provider.ts';
import type { CloudSelection, Prompts } from '../../src/providers/provider.ts';
import { systemWorld } from '../../src/runtime/world.ts';
import { processEnvironment } from '../support/process-environment.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/* The provider against the embedded lab: two programs that were written from the same documents and share no code of the API side. */

const signal = new AbortController().signal;

type Context = { after(call: () => void | Promise<void>): void };

/** A lab, and a home of its own for the person who uses it. */
async function practice(context: Context, options: LabOptions = {}): Promise<{ lab: Lab; as: typeof provider }> {
  const lab = await startLab(systemWorld({ env: {} }), options);
  context.after(async () => lab[Symbol.asyncDispose]());
  const env = { ...lab.env(), HOME: await temporaryDirectory(context as never) };
  processEnvironment(context, env);
  const provider = async (selection: CloudSelection = {}, prompts: Prompts = {}): Promise<AwsProvider> => {
    const made = await awsProvider(systemWorld({ env }), selection, prompts);
    context.after(async () => made[Symbol.asyncDispose]());
    return made;
  };
  return { lab, as: provider };
}

async function failure(promise: Promise<unknown>, code: string): Promise<CloudtunError> {
  const error = await promise.then(
    () => assert.fail(`should have failed with ${code}`),
    (thrown: CloudtunError) => thrown,
  );
  assert.equal(error.code, code, error.stack);
  return error;
}

describe('the practice account', () => {
  test('everything it holds, page by page', async (context) => {
    const { as } = await practice(context, { pageLimit: 2 });
    const listed = await (await as()).finder.list({}, signal);
    const lines = Object.fromEntries(
      listed.map(({ target, reachable, remark }) => [targetLabel(target), `${reachable ? '+' : '-'} ${remark}`]),
    );
    assert.equal(lines.prod, '+ via bastion-a');
    assert.equal(lines.orders, '+ via bastion-a');
    assert.equal(lines.archive, '- stopped');
    assert.match(lines.legacy!, /^- no bastion in vpc-/);
    assert.equal(lines['batch-1'], '- stopped');
    assert.match(lines['offline-1']!, /^- agent offline since \d{4}-\d\d-\d\d$/);
    assert.match(lines['appliance-1']!, /^- not registered/);
    assert.match(lines['bastion-a']!, /^\+ agent 3\./);
    assert.match(lines['onprem-1']!, /^\+ agent 3\./);
  });

  test('to prod: a bastion, a session that resumes and ends', async (context) => {
    const { lab, as } = await practice(context);
    const { finder, gatekeeper } = await as();
    const database = await finder.findDatabase('prod', {}, signal);
    const route = await finder.routeTo(database, database.endpoint.port, {}, signal);
    assert.equal(route.node.name, 'bastion-a');
    const rejected = Object.fromEntries(route.rejected.map(({ node, reason }) => [targetLabel(node), reason]));
    assert.match(rejected['bastion-b']!, /does not admit/);
    assert.match(rejected['old-agent']!, /too old to forward to another host/);

    const tickets = gatekeeper.ticketSource(route, { reason: 'practice' });
    const ticket = await tickets.issue(route.to, signal);
    assert.match(ticket.streamUrl, /^ws:\/\/127\.0\.0\.1:\d+\/v1\/data-channel\//);
    assert.equal(lab.sessions.list('Active').length, 1);
    assert.match((await tickets.signUpgrade!(new URL(ticket.streamUrl))).authorization!, /\/ssmmessages\/aws4_request/);
    const renewed = await tickets.renew(ticket, signal);
    assert.notEqual(renewed?.token.reveal(), ticket.token.reveal());
    await tickets.release(ticket);
    assert.equal(lab.sessions.list('Active').length, 0);
    assert.equal(await tickets.renew(ticket, signal), undefined);
  });

  test('the other databases', async (context) => {
    const { as } = await practice(context);
    const { finder } = await as();
    const ledger = await finder.findDatabase('ledger', {}, signal);
    assert.deepEqual([ledger.flavour, ledger.role], ['cluster', 'writer']);
    assert.equal((await finder.findDatabase('ledger', { reader: true }, signal)).role, 'reader');
    assert.equal((await finder.findDatabase('prod-proxy', {}, signal)).flavour, 'proxy');
    assert.equal((await finder.findDatabase(ledger.endpoint.host, {}, signal)).id, 'ledger');
    await failure(finder.findDatabase('archive', {}, signal), 'CT_TARGET_STOPPED');
    const legacy = await finder.findDatabase('legacy', {}, signal);
    await failure(finder.routeTo(legacy, legacy.endpoint.port, {}, signal), 'CT_NO_BASTION');
    const error = await failure(finder.findDatabase('prdo', {}, signal), 'CT_TARGET_NOT_FOUND');
    assert.match(error.hints[0]!, /^did you mean: prod/);
  });

  test('machines by every form of name', async (context) => {
    const { lab, as } = await practice(context);
    const { finder } = await as();
    const bastion = lab.inventory.instances.find((instance) => instance.name === 'bastion-a') ?? assert.fail();
    const hybrid = lab.inventory.hybridNodes[0] ?? assert.fail();
    const forms = [bastion.id, 'bastion-a', 'aws:bastion-a', bastion.privateIp];
    for (const text of forms) assert.equal((await finder.findMachine(text, {}, signal)).id, bastion.id, text);
    for (const text of [hybrid.id, 'onprem-1'])
      assert.equal((await finder.findMachine(text, {}, signal)).id, hybrid.id, text);
    const dns = (await finder.findMachine('bastion-a', {}, signal)).privateDns ?? assert.fail();
    assert.equal((await finder.findMachine(dns, {}, signal)).id, bastion.id);
    for (const text of ['tag:role=app', 'asg:app-asg']) {
      const newest = await finder.findMachine(text, {}, signal);
      assert.equal(lab.inventory.instances.find(({ id }) => id === newest.id)?.launchedAt, '2026-11-12T03:00:00.000Z');
    }
    const error = await failure(finder.findMachine('app', {}, signal), 'CT_TARGET_AMBIGUOUS');
    assert.equal(error.details.length, 2);
    await failure(finder.findMachine('batch-1', {}, signal), 'CT_TARGET_STOPPED');
    await failure(finder.findMachine('offline-1', {}, signal), 'CT_TARGET_OFFLINE');
    await failure(finder.findMachine('appliance-1', {}, signal), 'CT_TARGET_OFFLINE');
    await failure(finder.findMachine('bastion-z', {}, signal), 'CT_TARGET_NOT_FOUND');
  });
});

describe('people', () => {
  const openProd = async (provider: AwsProvider) => {
    const { finder, gatekeeper } = provider;
    const route = await finder.routeTo(await finder.findDatabase('prod', {}, signal), 3306, {}, signal);
    return gatekeeper.ticketSource(route, {}).issue(route.to, signal);
  };

  test('who may not start sessions is told what is missing', async (context) => {
    const { as } = await practice(context);
    const error = await failure(openProd(await as({ profile: 'mallory' })), 'CT_DENIED');
    assert.match(error.message, /^mallory may not start a session on bastion-a/);
    assert.match(error.details[0]![1], /user\/mallory \(profile mallory\)$/);
  });

  test('whose credentials have expired is told to sign in', async (context) => {
    const { as } = await practice(context);
    const error = await failure(openProd(await as({ profile: 'expired' })), 'CT_CREDENTIALS_EXPIRED');
    assert.deepEqual(error.hints, ['sign in again: cloudtun login --profile expired']);
  });

  test('who has wrong keys is told so', async (context) => {
    const { lab } = await practice(context);
    const env = { ...lab.env(), AWS_SECRET_ACCESS_KEY: 'wrong' };
    await using provider = await awsProvider(systemWorld({ env }), {});
    await failure(openProd(provider), 'CT_CREDENTIALS_INVALID');
  });

  test('every role of the lab, MFA included', async (context) => {
    const { lab, as } = await practice(context);
    const prompts = { mfaCode: async () => lab.mfaCode };
    for (const role of lab.inventory.roles) {
      const { gatekeeper } = await as({ profile: role.name }, prompts);
      const identity = await gatekeeper.whoami(signal);
      assert.match(identity.id, new RegExp(`assumed-role/${role.name}/`));
      assert.match(
        identity.source,
        role.webIdentity ? /web identity/ : new RegExp(`profile ${role.name}, role ${role.name}`),
      );
    }
  });

  test('signing in at the Identity Center of the lab, and then using it', async (context) => {
    const { lab, as } = await practice(context, { signIn: 'approve' });
    const provider = await as({ profile: 'sso' });
    await failure(provider.gatekeeper.whoami(signal), 'CT_NO_CREDENTIALS');
    const shown: string[] = [];
    const report = await provider.signIn!(({ userCode }) => shown.push(userCode), signal);
    assert.match(shown[0]!, /^[A-Z]{4}-[A-Z]{4}$/);
    assert.match(report.cachedIn, /\.aws\/sso\/cache\/[0-9a-f]{40}\.json$/);
    const identity = await provider.gatekeeper.whoami(signal);
    assert.equal(identity.source, 'profile sso, SSO');
    assert.match(identity.id, new RegExp(lab.inventory.sso.permissionSet));
    assert.equal(lab.sessions.list('Active').length, 0);
  });

  test('a sign-in that is refused', async (context) => {
    const { as } = await practice(context, { signIn: 'deny' });
    const provider = await as({ profile: 'sso' });
    await failure(
      provider.signIn!(() => {}, signal),
      'CT_LOGIN_FAILED',
    );
  });
});

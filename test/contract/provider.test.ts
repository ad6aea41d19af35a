import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import type { ErrorCode } from '../../src/domain/error-catalogue.ts';
import { CloudtunError } from '../../src/domain/errors.ts';
import { PROVIDER_IDS, targetLabel } from '../../src/domain/target.ts';
import type { Provider } from '../../src/providers/provider.ts';
import { PROVIDERS } from '../../src/providers/registry.ts';
import { testLab } from '../support/aws-lab.ts';
import { processEnvironment } from '../support/process-environment.ts';
import { type Person, PROVIDER_ROWS, type ProviderRow } from '../support/provider-rows.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/* What broker and commands rely on, of every cloud: one suite, a row for each. */

const signal = new AbortController().signal;

async function failure(promise: Promise<unknown>, code: ErrorCode): Promise<CloudtunError> {
  const error = await promise.then(
    () => assert.fail(`should have failed with ${code}`),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof CloudtunError, String(error));
  assert.equal(error.code, code, error.stack);
  return error;
}

test('every cloud has a row', () => {
  assert.deepEqual(
    PROVIDER_ROWS.map(({ cloud }) => cloud),
    PROVIDER_IDS,
  );
});

for (const row of PROVIDER_ROWS) suite(row.cloud, () => checkProvider(row));

function checkProvider(row: ProviderRow): void {
  const started = async (t: TestContext, person: Person = 'allowed') => {
    const lab = await testLab(t);
    processEnvironment(t, row.processEnv(lab, person));
    const provider: Provider = await row.as(lab, person, await temporaryDirectory(t));
    t.after(async () => provider[Symbol.asyncDispose]());
    return { lab, provider, finder: provider.finder, gatekeeper: provider.gatekeeper };
  };

  test('says what it is', async (t) => {
    const { provider } = await started(t);
    assert.equal(provider.id, row.cloud);
    assert.match(provider.label, new RegExp(`^${row.cloud} \\S`));
    assert.ok(provider.scope.length > 0);
  });

  test('gives logins for databases: a token for a user, and what a secret holds', async (t) => {
    const { provider, finder, lab } = await started(t);
    const logins = provider.databaseLogins;
    assert.ok(logins);
    const database = await finder.findDatabase(row.database.spellings[0]!, {}, signal);
    const { user, token, expiresAt } = await logins.token(database, 'alice', signal);
    assert.equal(user, 'alice');
    assert.equal(String(token), '[redacted]');
    assert.ok(token.reveal().length > 20);
    assert.ok(expiresAt > Date.now());
    const name = row.cloud === 'gcp' ? 'projects/acme-practice/secrets/contract' : 'contract';
    await failure(logins.stored(name, signal), 'CT_TARGET_NOT_FOUND');
    lab.secrets.set(name, '{"username":"app","password":"p w"}');
    const stored = await logins.stored(name, signal);
    assert.deepEqual([stored.user, stored.password.reveal()], ['app', 'p w']);
    lab.secrets.set(name, 'plain\n');
    assert.equal((await logins.stored(name, signal)).password.reveal(), 'plain');
    lab.secrets.set(name, '{"username":"app"}');
    await failure(logins.stored(name, signal), 'CT_CONFIG');
  });

  test('lists everything with whether and why, and can be asked for less', async (t) => {
    const { finder } = await started(t);
    const all = await finder.list({}, signal);
    const byName = new Map(all.map((each) => [targetLabel(each.target), each]));
    assert.equal(byName.get(row.machine.name)?.reachable, true);
    assert.equal(byName.get(row.stoppedMachine)?.reachable, false);
    for (const { target, remark } of all) {
      assert.equal(target.provider, row.cloud);
      assert.ok(remark.length > 0, target.id);
    }
    const databases = await finder.list({ kind: 'database' }, signal);
    assert.ok(databases.length > 0 && databases.every(({ target }) => target.kind === 'database'));
    const some = await finder.list({ text: row.machine.name }, signal);
    assert.ok(some.some(({ target }) => target.id === row.machine.id) && some.length < all.length);
  });

  test('finds a machine by every spelling', async (t) => {
    const { finder } = await started(t);
    for (const text of row.machine.spellings) {
      const found = await finder.findMachine(text, { mustExist: true }, signal);
      assert.equal(found.id, row.machine.id, text);
      assert.equal(found.provider, row.cloud);
    }
  });

  test('finds a database by every spelling, and the way to it with reasons', async (t) => {
    const { finder } = await started(t);
    for (const text of row.database.spellings) {
      const found = await finder.findDatabase(text, {}, signal);
      assert.deepEqual([found.id, found.engine, found.available], [row.database.id, row.database.engine, true], text);
    }
    const database = await finder.findDatabase(row.database.id, {}, signal);
    const route = await finder.routeTo(database, database.endpoint.port, {}, signal);
    assert.equal(route.provider, row.cloud);
    assert.equal(route.target, database);
    assert.equal(route.to.port, database.endpoint.port);
    assert.ok(route.reasons.length > 0);
  });

  test('a machine is its own way', async (t) => {
    const { finder } = await started(t);
    const machine = await finder.findMachine(row.machine.name, {}, signal);
    const route = await finder.routeTo(machine, 80, {}, signal);
    assert.equal(route.node.id, row.machine.id);
    assert.deepEqual(route.to, { port: 80 });
  });

  test('not found: the nearest names', async (t) => {
    const { finder } = await started(t);
    const machine = await failure(
      finder.findMachine(row.misspelledMachine, { mustExist: true }, signal),
      'CT_TARGET_NOT_FOUND',
    );
    assert.match(machine.hints[0] ?? '', new RegExp(`^did you mean: .*${row.machine.name}`));
    const { typed, nearest } = row.misspelledDatabase;
    const database = await failure(finder.findDatabase(typed, {}, signal), 'CT_TARGET_NOT_FOUND');
    assert.match(database.hints[0] ?? '', new RegExp(`^did you mean: .*${nearest}`));
    assert.match(database.message, new RegExp(`"${typed}"`));
  });

  test('ambiguous: the candidates, each with what names it alone', async (t) => {
    const { finder } = await started(t);
    const error = await failure(finder.findMachine(row.namesakes, {}, signal), 'CT_TARGET_AMBIGUOUS');
    assert.equal(error.details.length, 2);
    for (const [id] of error.details) assert.equal((await finder.findMachine(id, {}, signal)).id, id);
  });

  test('stopped machines and databases, and a database that nothing leads to', async (t) => {
    const { finder } = await started(t);
    await failure(finder.findMachine(row.stoppedMachine, { mustExist: true }, signal), 'CT_TARGET_STOPPED');
    await failure(finder.findDatabase(row.stoppedDatabase, {}, signal), 'CT_TARGET_STOPPED');
    const unreachable = await finder.findDatabase(row.unreachableDatabase, {}, signal);
    await failure(finder.routeTo(unreachable, unreachable.endpoint.port, {}, signal), 'CT_NO_BASTION');
  });

  test('knows who asks, and what that asks for', async (t) => {
    const { finder, gatekeeper } = await started(t);
    const identity = await gatekeeper.whoami(signal);
    assert.equal(identity.name, 'alice');
    for (const text of [identity.id, identity.account, identity.source]) assert.ok(text.length > 0);
    const database = await finder.findDatabase(row.database.id, {}, signal);
    const route = await finder.routeTo(database, database.endpoint.port, {}, signal);
    const { actions } = gatekeeper.explain(route, {});
    assert.ok(
      actions.some(({ action }) => action === row.action),
      JSON.stringify(actions),
    );
  });

  test('tickets are issued, renewed and released; their secrets do not print', async (t) => {
    const { lab, finder, gatekeeper } = await started(t);
    const database = await finder.findDatabase(row.database.id, {}, signal);
    const route = await finder.routeTo(database, database.endpoint.port, {}, signal);
    const source = gatekeeper.ticketSource(route, { reason: 'INC-1' });
    const ticket = await source.issue(route.to, signal);
    assert.equal(ticket.kind, source.kind);
    assert.deepEqual(ticket.to, route.to);
    assert.ok(!JSON.stringify(ticket).includes(ticket.token.reveal().slice(0, 12)));
    const before = row.openSessions(lab);
    assert.ok(before === undefined || before === 1);
    const renewed = await source.renew(ticket, signal);
    assert.notEqual(renewed?.token.reveal(), ticket.token.reveal());
    await source.release(ticket);
    await source.release(ticket);
    assert.ok([undefined, 0].includes(row.openSessions(lab)));
  });

  test('a session that is gone is ended without complaint', async (t) => {
    const { gatekeeper } = await started(t);
    await gatekeeper.endSession('nobody-0123456789abcdef0', signal);
  });

  test('denied: who, and what is missing', async (t) => {
    const { provider } = await started(t, 'denied');
    const error = await failure(row.refused(provider, signal), 'CT_DENIED');
    assert.ok(error.details.some(([, text]) => text.includes('mallory')) || error.message.includes('mallory'));
  });

  test('without credentials: said so, with what to do', async (t) => {
    const { finder, gatekeeper } = await started(t, 'nobody');
    await failure(gatekeeper.whoami(signal), 'CT_NO_CREDENTIALS');
    const error = await failure(finder.findDatabase(row.database.id, {}, signal), 'CT_NO_CREDENTIALS');
    assert.ok(error.hints.length > 0);
  });

  test('a call that was called off ends with the reason', async (t) => {
    const { finder } = await started(t);
    const stop = new AbortController();
    const listing = finder.list({}, stop.signal);
    stop.abort(new Error('called off'));
    await assert.rejects(listing, /called off/);
  });

  test('its names say what they are before anything is loaded', () => {
    const names = PROVIDERS[row.cloud];
    assert.equal(names.claims(row.machine.id), 'surely');
    assert.equal(names.claims(row.machine.name), 'maybe');
    for (const other of PROVIDER_ROWS) {
      if (other.cloud !== row.cloud) assert.equal(names.claims(other.machine.id), 'no');
    }
  });
}

import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { CloudtunError } from '../../../src/domain/errors.ts';
import { Secret } from '../../../src/domain/secret.ts';
import { makeClientSet } from '../../../src/exec/client-set.ts';
import type { OpenName } from '../../../src/exec/open-names.ts';
import type { DatabaseLogins } from '../../../src/providers/provider.ts';
import { BASTION, FakeProvider, ORDERS } from '../../support/fake-provider.ts';
import { manualWorld, settle } from '../../support/manual-world.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const MINUTE = 60_000;

/** A database whose cloud gives a token of 15 minutes each time, numbered. */
async function withTokens(t: { after(call: () => Promise<void>): void }, family: 'mysql' | 'mariadb' = 'mysql') {
  const state = await temporaryDirectory(t);
  const manual = manualWorld();
  const world = { ...manual.world, paths: { ...manual.world.paths, state } };
  const troubles: string[] = [];
  const notes: string[] = [];
  const asked = { count: 0, failing: false };
  const databaseLogins: DatabaseLogins = {
    token: async (_database, user = 'nobody') => {
      if (asked.failing) throw new CloudtunError('CT_NETWORK', 'cannot reach STS');
      asked.count += 1;
      return { user, token: new Secret(`token-${asked.count}`), expiresAt: world.clock.wall() + 15 * MINUTE };
    },
    stored: () => assert.fail('nobody asked for a secret'),
    authorities: async () => undefined,
  };
  const provider = Object.assign(new FakeProvider(), { databaseLogins });
  const name = {
    name: 'orders',
    entry: { user: 'app', iamAuth: true },
    plan: {},
    provider,
    route: { provider: 'aws', target: ORDERS, node: BASTION, to: ORDERS.endpoint, reasons: [], rejected: [] },
    local: { host: '127.0.0.1', port: 13_306 },
  } as unknown as OpenName;
  const set = await makeClientSet(
    world,
    [name],
    {
      providerOf: () => assert.fail('the cloud is the same'),
      authorities: undefined,
      family,
      onTrouble: (about, error) => troubles.push(`${about} ${error.code}`),
      onNote: (text) => notes.push(text),
    },
    new AbortController().signal,
  );
  const cnf = set.variables.CLOUDTUN_ORDERS_CNF!;
  const token = () => /^password="(.+)"$/m.exec(readFileSync(cnf, 'utf8'))?.[1];
  const pass = async (time: number) => {
    await manual.clock.advance(time);
    await settle();
  };
  return { set, cnf, token, pass, asked, troubles, notes, clock: manual.clock };
}

test('files with a token are written again at two thirds of its life, as private as before', async (t) => {
  const { set, cnf, token, pass, asked } = await withTokens(t);
  assert.equal(token(), 'token-1');
  for (const count of [2, 3, 4]) {
    await pass(10 * MINUTE - 1);
    assert.equal(token(), `token-${count - 1}`);
    await pass(1);
    assert.equal(token(), `token-${count}`);
    assert.equal(readFileSync(set.variables.CLOUDTUN_ORDERS_PASSWORD_FILE!, 'utf8'), `token-${count}`);
    assert.equal(statSync(cnf).mode & 0o777, 0o600);
  }
  set[Symbol.dispose]();
  assert.equal(asked.count, 4);
});

test('a token that cannot be had is asked for again, and the old one stays in the file meanwhile', async (t) => {
  const { set, token, pass, asked, troubles } = await withTokens(t);
  asked.failing = true;
  await pass(10 * MINUTE);
  await pass(30_000);
  assert.deepEqual([token(), troubles], ['token-1', ['orders CT_NETWORK', 'orders CT_NETWORK']]);
  asked.failing = false;
  await pass(30_000);
  assert.equal(token(), 'token-2');
  set[Symbol.dispose]();
});

test('when it is disposed nothing is left: no file, no timer, and no token that was on its way', async (t) => {
  const { set, cnf, pass, clock } = await withTokens(t);
  const passing = clock.advance(10 * MINUTE);
  set[Symbol.dispose]();
  await passing;
  await pass(0);
  assert.deepEqual([existsSync(cnf), clock.pending], [false, 0]);
});

test('a token that a client of MariaDB might send in the clear is said', async (t) => {
  for (const [family, said] of [
    ['mariadb', ['orders: clients of MariaDB before 11.4 go on unencrypted if the server offers no TLS']],
    ['mysql', []],
  ] as const) {
    const { set, notes } = await withTokens(t, family);
    assert.deepEqual(notes, said);
    set[Symbol.dispose]();
  }
});

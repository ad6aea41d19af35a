import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cliLab } from '../../support/cli-lab.ts';
import { unlessInstalled } from '../../support/commands.ts';

const CATALOGUE = `
version: 1
defaults: { intervals: { hold: 2s } }
targets:
  orders: { rds: orders, user: app_iam, dbName: orders, iamAuth: true, tls: off }
  reports: { sql: reports, dbName: orders, secret: { secretManager: projects/acme-practice/secrets/app-reader }, tls: off }
`;

async function practice(t: Parameters<typeof cliLab>[0]) {
  const made = await cliLab(t);
  writeFileSync(join(made.home, 'cloudtun.yaml'), CATALOGUE);
  const files = join(made.home, '.local/state/cloudtun/exec');
  return { ...made, leftOver: () => (existsSync(files) ? readdirSync(files) : []) };
}

const skip = unlessInstalled('psql');

/** Connects, says so, and ends with 3 when its connection is gone. */
const HOLDER =
  'const socket = require("node:net").connect(Number(process.env.CLOUDTUN_ORDERS_PORT), "127.0.0.1", () => console.log("up"));' +
  'socket.on("error", () => {}).on("close", () => process.exit(3)).resume();';

test('the session ends and every bastion is gone: the code of the command stands, and a line says why, with --quiet too', async (t) => {
  const { start, lab, openSessions, leftOver } = await practice(t);
  const run = start(['exec', 'orders', '--quiet', '--', process.execPath, '-e', HOLDER]);
  await run.saw(/^up$/m);
  lab.change((inventory) => ({
    ...inventory,
    instances: inventory.instances.map((each) => ({ ...each, state: 'terminated' as const })),
  }));
  for (const id of openSessions()) lab.sessions.end(id, 'service', 'the machine is gone');
  const { code, stdout, stderr } = await run.ended;
  assert.deepEqual([code, stdout], [3, 'up\n']);
  assert.match(stderr, /^cloudtun: orders: connection 1 from \S+ failed: no way to orders: .* \(CT_NO_BASTION\)$/m);
  assert.deepEqual([openSessions(), leftOver()], [[], []]);
});

test('Cloud SQL: a websocket that is cut again and again changes nothing for the client', { skip }, async (t) => {
  const { run, lab } = await practice(t);
  lab.gcp.faults.set({ cutOutput: { bytes: [700, 20_000, 90_000] } });
  const ask = 'select n, md5(n::text) from generate_series(1, 5000) n';
  const cut = await run(['exec', 'reports', '--', 'psql', '-Atc', ask]);
  assert.equal(cut.code, 0, cut.stderr);
  assert.equal(cut.stdout.split('\n').length, 5001);
  lab.gcp.faults.set({ cutOutput: { bytes: [] } });
  const whole = await run(['exec', 'reports', '--', 'psql', '-Atc', ask]);
  assert.ok(cut.stdout === whole.stdout, 'the answers differ');
  const websockets = lab.gcp.relay.sessions().map((session) => session.websockets);
  assert.ok(websockets.includes(4), `it was cut less often: ${websockets}`);
  assert.deepEqual(lab.gcp.relay.violations(), []);
});

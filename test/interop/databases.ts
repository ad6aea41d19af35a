/** The databases' own clients through `cloudtun rds`. */
import { LAB_USERS, type LabUser } from '../../src/lab/databases/users.ts';
import { freePort } from '../bench/cloudtun-process.ts';
import { runCommand } from '../support/commands.ts';
import { type Check, type Context, judge, type Outcome, seconds } from './check.ts';
import { eventually } from './within.ts';

const [READER] = LAB_USERS as readonly [LabUser];
/** Of the practice data: 50 orders, and 125 items of which the pairs make a result of some size. */
const SQL = ['SELECT COUNT(*) FROM orders', 'SELECT a.id FROM order_items a, order_items b'];
const EXPECTED_LINES = [1, 15_625];

async function through(
  { practice }: Context,
  database: string,
  ask: (port: number, sql: string) => ReturnType<typeof runCommand>,
): Promise<Outcome> {
  const { lab, cloudtun } = await practice();
  const port = await freePort();
  const program = cloudtun.run(['rds', database, '--port', String(port)]);
  const { atMs } = await program.saw(/^ready /m, 60_000);
  const began = performance.now();
  const answers = [];
  for (const sql of SQL) answers.push(await ask(port, sql));
  const ms = performance.now() - began;
  await cloudtun.end(program);
  const isEmpty = await eventually(3_000, async () => (await lab.report()).sessions.length === 0);
  const lines = answers.map(({ stdout }) => stdout.trim().split('\n'));
  const isRight = lines[0]?.[0]?.trim() === '50' && lines.every((each, index) => each.length === EXPECTED_LINES[index]);
  const [failed] = answers.filter(({ exitCode }) => exitCode !== 0);
  const rows = failed === undefined ? `${lines.map(({ length }) => length).join(' and ')} rows` : failed.stderr.trim();
  return {
    findings: [
      judge(isRight, `cloudtun rds ${database}: ready after ${seconds(atMs)}, ${rows} in ${seconds(ms)}`),
      judge(isEmpty, `cloudtun rds ${database}: Ctrl-C ends with 130, the lab's session list is empty`),
    ],
  };
}

export const mariadbCheck: Check = {
  name: 'mariadb',
  needs: ['mariadb'],
  run: (context) =>
    through(context, 'prod', (port, sql) =>
      runCommand(context.peers.mariadb!, [
        ...['--no-defaults', '--host=127.0.0.1', `--port=${port}`, `--user=${READER.user}`],
        ...[`--password=${READER.password}`, '--batch', '--skip-column-names', '-e', sql, 'orders'],
      ]),
    ),
};

export const psqlCheck: Check = {
  name: 'psql',
  needs: ['psql'],
  run: (context) =>
    through(context, 'orders', (port, sql) =>
      runCommand(
        context.peers.psql!,
        ['--no-psqlrc', '--tuples-only', '--no-align', '-h', '127.0.0.1', '-p', `${port}`, '-c', sql, 'orders'],
        { PGUSER: READER.user, PGPASSWORD: READER.password },
      ),
    ),
};

/** docs/guides/team.md, typed: an empty machine, the lab, and nothing but what the guide says. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse, stringify } from 'yaml';
import { cliLab } from '../../support/cli-lab.ts';
import { unlessInstalled } from '../../support/commands.ts';

const GUIDE = readFileSync(join(import.meta.dirname, '../../../docs/guides/team.md'), 'utf8');

/** The blocks of a kind, in order. */
const blocks = (kind: string) =>
  [...GUIDE.matchAll(new RegExp(`^\`\`\`${kind}\\n([\\s\\S]*?)^\`\`\``, 'gm'))].map(([, text]) => text!);

/** The words of a line, as a shell takes them. */
const words = (line: string) => [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare!);

test('every command of the guide works, in order, from nothing to the first query and back', {
  skip: unlessInstalled('psql'),
}, async (t) => {
  const cli = await cliLab(t);
  const { lab, home } = cli;
  // What `lab up --enforce` and `lab env` do; the rest is typed.
  lab.iam.set({ enforce: true });
  lab.gcp.iam.enforce = true;
  lab.change((inventory) => ({
    ...inventory,
    users: inventory.users.map((one) => ({ ...one, denied: [] })),
    sso: { ...inventory.sso, denied: [] },
  }));
  const commands = blocks('sh')
    .flatMap((text) => text.trim().split('\n'))
    .filter((line) => !/lab (up|env)/.test(line));
  assert.ok(commands.length >= 12, `${commands.length} commands`);
  assert.ok(commands.every((line) => line.startsWith('cloudtun ')));
  const [edit = ''] = blocks('yaml');
  const said = new Map<string, string>();
  for (const command of commands) {
    const line = words(command).slice(1);
    if (line[0] === 'login') {
      const login = cli.start(line);
      const [, code = ''] = await login.saw(/user_code=([A-Z-]+)/);
      lab.desk.decide(code, true);
      assert.equal((await login.ended).code, 0, command);
      continue;
    }
    const { code, stdout, stderr } = await cli.run(line, { limit: 60_000 });
    assert.equal(code, 0, `${command}\n${stdout}${stderr}`);
    said.set(command.split(' ').slice(1, 3).join(' '), stdout);
    if (line[0] === 'init') {
      // The editor: keys of the guide over those that were found.
      const file = join(home, 'cloudtun.yaml');
      const found = parse(readFileSync(file, 'utf8')) as { targets: object };
      const typed = parse(edit) as { targets: object };
      writeFileSync(file, stringify({ ...found, ...typed, targets: { ...found.targets, ...typed.targets } }));
    }
  }
  assert.match(said.get('team plan') ?? '', /\+ policy +cloudtun-readers/);
  const onboarded = said.get('onboard --profile') ?? '';
  assert.match(onboarded, /ok {4}prod: prod answered in/);
  assert.match(onboarded, /ok {4}orders: orders answered in/);
  assert.match(said.get('rds orders') ?? '', /^ +50$/m, 'the first query');
  assert.match(said.get('team docs') ?? '', /```mermaid/);
  assert.match(said.get('offboard alice@example.com') ?? '', /readers\.members: alice@example\.com/);
  assert.match(
    said.get('offboard alice@example.com') ?? '',
    /take alice@example\.com out of permission set readers \(aws\); until then the clouds let them in\n/,
  );
  assert.deepEqual(cli.openSessions(), []);
});

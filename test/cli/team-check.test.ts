import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import type { TeamCheckJson } from '../../src/cli/present/team-check-report.ts';
import { type CliResult, runCli } from '../support/run-cli.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const CATALOGUE = `version: 1
targets:
  bastion: { aws: { instance: i-0bastion, region: eu-west-1 } }
  prod: { rds: orders-prod, via: bastion, user: app_reader, iamAuth: true }
  staging: { rds: orders-staging, via: bastion }
teams:
  readers:
    aws: { permissionSet: readers }
    members: [alice@example.com]
    may: { connect: [prod] }
    until: 2027-03-31
`;

interface Project {
  readonly folder: string;
  write(text: string): Promise<void>;
  check(...words: readonly string[]): Promise<CliResult>;
}

async function project(t: { after(call: () => Promise<void>): void }, text = CATALOGUE): Promise<Project> {
  const folder = await temporaryDirectory(t);
  const write = (words: string) => writeFile(join(folder, 'cloudtun.yaml'), words);
  await write(text);
  return {
    folder,
    write,
    check: (...words) => runCli(['team', 'check', '--at', '2027-01-15', ...words], { home: folder }),
  };
}

suite('cloudtun team check', () => {
  test('may she? yes ends with 0 and the statements, no with 11 and the lines that would give it', async (t) => {
    const { check } = await project(t);
    const yes = await check('alice', 'prod', '-q');
    assert.equal(yes.code, 0, yes.stderr);
    assert.match(
      yes.stdout,
      /^yes {2}alice@example\.com may connect to prod until 2027-03-31\n {7}by {7}team readers: may: \{ connect: \[prod\] \}\n/,
    );
    assert.match(yes.stdout, /allowed {2}ssm:StartSession .*cloudtun-readers: /);
    const no = await check('bob@example.com', 'prod', '-q');
    assert.equal(no.code, 11);
    assert.match(no.stdout, /^no {3}bob@example\.com may not connect to prod\n/);
    assert.match(no.stdout, / {6}members: \[alice@example\.com, bob@example\.com\]\n/);
    assert.equal(no.stderr, '');
  });

  test('what nobody can be given is said so', async (t) => {
    const { check } = await project(t);
    const { code, stdout } = await check('alice', 'prod', '--verb', 'ssh');
    assert.equal(code, 11);
    assert.equal(stdout, 'no   nobody can be given that: prod is a database, and ssh needs a machine\n');
    assert.equal((await check('al\u001b[31mice', 'prod')).code, 2);
    assert.match((await check('bob', 'prod')).stdout, /make bob a member \(by the whole address\)/);
  });

  test('the lines that are proposed give it', async (t) => {
    const { check, write } = await project(t);
    assert.equal((await check('alice', 'staging')).code, 11);
    await write(CATALOGUE.replace('connect: [prod]', 'connect: [prod, staging]'));
    assert.equal((await check('alice', 'staging')).code, 0);
  });

  test('as of a day after the end it is over', async (t) => {
    const { folder } = await project(t);
    const late = await runCli(['team', 'check', 'alice', 'prod', '--at', '2027-04-01'], { home: folder });
    assert.equal(late.code, 11);
    assert.match(late.stdout, /because {2}team readers gave it until 2027-03-31/);
    const wrong = await runCli(['team', 'check', '--at', 'tomorrow'], { home: folder });
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /--at "tomorrow" is no date/);
  });

  test('findings end with 1, warnings with --strict', async (t) => {
    const { check, write } = await project(t);
    const plain = await check();
    assert.equal(plain.code, 0, plain.stdout);
    assert.match(plain.stdout, /warning {2}staging: no team may do anything with it/);
    assert.match(plain.stdout, /\n1 person: 0 findings, 1 warning\n$/);
    assert.equal((await check('--strict')).code, 1);
    await write(`${CATALOGUE}  lost: { gcp: { group: g@example.com }, may: { connect: [prod] } }\n`);
    const found = await check();
    assert.equal(found.code, 1);
    assert.match(found.stdout, /finding {2}lost: prod is in aws, where the team names nobody: add aws:/);
  });

  test('the reverse, the table, the document', async (t) => {
    const { check } = await project(t);
    const reverse = await check('--target', 'prod');
    assert.match(
      reverse.stdout,
      /^WHO +MAY +UNTIL +TEAM +AS\nalice@example\.com +connect +2027-03-31 +readers +permission set readers\n/,
    );
    assert.match((await check('--target', 'staging')).stdout, /^nobody may do anything with staging\n/);
    assert.match((await check('--all')).stdout, /^WHO +prod\nalice@example\.com +connect\n/);
    const report = JSON.parse((await check('alice', 'prod', '--json')).stdout) as TeamCheckJson;
    assert.deepEqual(
      report.answers?.map(({ person, subject, allowed }) => [person, subject, allowed]),
      [['alice@example.com', 'prod', true]],
    );
    const connect = report.access.find(({ id }) => id === 'connect prod');
    assert.deepEqual([connect?.decision, connect?.listed, connect?.teams], ['allowed', true, ['readers']]);
    assert.ok(report.access.some(({ verb, decision }) => verb === undefined && decision === 'denied'));
  });

  test('names that are not there', async (t) => {
    const { check } = await project(t);
    const person = await check('alicia');
    assert.equal(person.code, 2);
    assert.match(person.stderr, /nobody in cloudtun\.yaml is called "alicia"\n {2}did you mean: alice@example\.com/);
    const target = await check('alice', 'prdo');
    assert.equal(target.code, 5);
    assert.match(target.stderr, /did you mean: prod/);
    assert.equal((await check('alice', 'orders-prod')).code, 0);
    for (const words of [['alice', '--all'], ['alice', 'prod', '--target', 'prod'], ['--verb', 'ssh'], ['--exit-code']])
      assert.equal((await check(...words)).code, 2, words.join(' '));
  });

  test('what a pull request changes, without credentials', async (t) => {
    const { folder, check, write } = await project(t);
    const git = (...words: readonly string[]) =>
      execFileSync('git', ['-C', folder, '-c', 'user.name=t', '-c', 'user.email=t@example.com', ...words], {
        stdio: 'ignore',
      });
    git('init', '-q', '-b', 'main');
    git('add', 'cloudtun.yaml');
    git('commit', '-q', '-m', 'first');
    const same = await check('--against', 'main', '--exit-code');
    assert.equal(same.code, 0, same.stdout);
    assert.match(same.stdout, /nobody's access is another one than in main:cloudtun\.yaml/);
    await write(
      CATALOGUE.replace('[alice@example.com]', '[alice@example.com, bob@example.com]').replace(
        '    until: 2027-03-31\n',
        '',
      ),
    );
    const other = await check('--against', 'main', '--exit-code');
    assert.equal(other.code, 1);
    assert.match(other.stdout, /^\+ bob@example\.com +connect prod +open prod .*, without an end\n/m);
    assert.match(other.stdout, /^~ alice@example\.com +connect prod\n {4}until: 2027-03-31 -> no end\n/m);
    assert.match(other.stdout, /1 gained, 0 lost, 1 changed since main:cloudtun\.yaml/);
    assert.equal((await check('--against', 'main')).code, 0);
    // One person alone, who is in another team there; and nobody at all.
    assert.match((await check('bob', '--against', 'main')).stdout, /\n1 gained, 0 lost, 0 changed since main/);
    await write(CATALOGUE.slice(0, CATALOGUE.indexOf('teams:')));
    assert.match(
      (await check('--against', 'main')).stdout,
      /^- alice@example\.com {2}connect prod .*\n0 gained, 1 lost, 0 changed/,
    );
    assert.equal((await check()).code, 2);
    const nowhere = await check('--against', 'nowhere');
    assert.equal(nowhere.code, 2);
    assert.match(nowhere.stderr, /"nowhere" is neither a file nor a revision of git here/);
    assert.equal((await check('--against=--output=x')).code, 2);
    await writeFile(join(folder, 'old.yaml'), CATALOGUE);
    assert.match((await check('--against', 'old.yaml')).stdout, /0 gained, 1 lost, 0 changed since old\.yaml/);
    await writeFile(join(folder, 'wrong.yaml'), 'version: 1\nteams: 3\n');
    assert.match((await check('--against', 'wrong.yaml')).stderr, /wrong\.yaml:2:8/);
  });

  test('a catalogue that was not there before', async (t) => {
    const { folder, check } = await project(t);
    execFileSync('git', ['-C', folder, 'init', '-q', '-b', 'main']);
    execFileSync('git', [
      '-C',
      folder,
      '-c',
      'user.name=t',
      '-c',
      'user.email=t@example.com',
      'commit',
      '-q',
      '--allow-empty',
      '-m',
      'first',
    ]);
    assert.match((await check('--against', 'HEAD')).stdout, /1 gained, 0 lost, 0 changed since HEAD:cloudtun\.yaml/);
  });
});

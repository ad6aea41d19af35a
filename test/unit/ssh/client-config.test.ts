import assert from 'node:assert/strict';
import test from 'node:test';
import { clientConfig } from '../../../src/ssh/client-config.ts';
import { includeLine, includes, ownHosts, withInclude, withoutInclude } from '../../../src/ssh/include-line.ts';

const FILE = '/people/alice/.config/cloudtun/ssh_config';
const HOME = '/people/alice';

test('the same hosts give the same text, users before what is common, words fit for a shell and for ssh', () => {
  const hosts = [
    { name: 'web', user: 'ubuntu', remark: 'ubuntu: it runs Ubuntu', isTaken: false },
    { name: 'app', remark: 'the cloud suggests no user', isTaken: true },
  ];
  const config = {
    command: ['/programs/node 24/node', "/programs/o'hara/run.js"],
    folder: '/state/100%/ssh',
    catalogue: '/acme/catalogue',
    hosts,
  };
  const text = clientConfig(config);
  assert.equal(clientConfig({ ...config, hosts: hosts.toReversed() }), text);
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  assert.deepEqual(lines.slice(0, 7), [
    'Host app.cloudtun',
    '    # the cloud suggests no user',
    'Host web web.cloudtun',
    '    # ubuntu: it runs Ubuntu',
    '    User ubuntu',
    `Host web *.cloudtun i-???????? i-${'?'.repeat(17)} mi-${'?'.repeat(17)}`,
    `    ProxyCommand '/programs/node 24/node' '/programs/o'\\''hara/run.js' proxy --login '%r' --ssh-files /state/100%%/ssh --catalogue /acme/catalogue -- '%n' %p`,
  ]);
  assert.ok(lines.includes('    IdentityAgent "/state/100%%/ssh/%r@%n:%p"'));
  assert.ok(lines.includes('    UserKnownHostsFile "/state/100%%/ssh/%n:%p.keys"'));
  assert.ok(lines.includes('    StrictHostKeyChecking yes'));
});

test('the line is added once, at the top, and taken out without a trace', () => {
  for (const own of ['', 'Host *\n  User alice', '\n\nHost a\r\n', '# caf\xe9\n']) {
    const added = withInclude(own, FILE, HOME);
    assert.ok(added.endsWith(own) && added.indexOf(includeLine(FILE)) < added.length - own.length);
    assert.equal(withInclude(added, FILE, HOME), added);
    assert.equal(withoutInclude(added, FILE), own);
    assert.equal(withoutInclude(own, FILE), own);
  }
  const moved = `Host mine\n  User me\n${withInclude('', FILE, HOME)}`;
  assert.equal(withInclude(moved, FILE, HOME), moved);
  assert.equal(withoutInclude(moved, FILE), 'Host mine\n  User me\n\n');
});

test('a line of the person counts, however it is written', () => {
  const written = [
    `Include ${FILE}`,
    `  include = "${FILE}"`,
    'INCLUDE ~/.config/cloudtun/ssh_config other',
    `Include a "b c" ${FILE}`,
  ];
  for (const line of written) assert.equal(includes(`Host x\n${line}\r\n`, FILE, HOME), true, line);
  for (const line of [`# Include ${FILE}`, `Include ${FILE}.old`, `User ${FILE}`, 'Include', 'Include ""'])
    assert.equal(includes(line, FILE, HOME), false, line);
});

test('hosts that the person has blocks for, patterns left out', () => {
  const text =
    'Host web "db 1" *.internal !no\n  host ?x\nhost=api\r\nHostName not-a-host\n# Host comment\nMatch host y\n';
  assert.deepEqual([...ownHosts(text)].sort(), ['1', 'api', 'db', 'web']);
});

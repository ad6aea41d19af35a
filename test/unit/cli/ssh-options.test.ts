import assert from 'node:assert/strict';
import { test } from 'node:test';
import { foreignFlag } from '../../../src/cli/ssh-foreign-flags.ts';
import { parseSshOptions } from '../../../src/cli/ssh-options.ts';
import { describeRules, parseSshRules } from '../../../src/cli/ssh-rules.ts';
import Ssh from '../../../src/commands/ssh.ts';
import { CloudtunError } from '../../../src/domain/errors.ts';

function refusal(run: () => unknown): CloudtunError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof CloudtunError);
    return error;
  }
  return assert.fail('not refused');
}

test('names in any case, = or a space, quotes; the first one counts, lists add up', () => {
  const options = parseSshOptions([
    'user=alice',
    'USER bob',
    'Port = 2222',
    'IdentityFile=~/.ssh/a',
    'identityfile "my keys/b"',
    'ConnectTimeout=1m30',
    'ServerAliveInterval=0',
    'ServerAliveCountMax 4',
    'ExitOnForwardFailure=no',
    'SetEnv=A=1 B="two words"',
    'SendEnv=LANG LC_*',
    'EscapeChar=^b',
    'RequestTTY=Force',
    'LocalForward=8080 db:80',
    'RemoteForward 9000 localhost:3000',
    'DynamicForward=1080',
    'StrictHostKeyChecking=yes',
    'ForwardAgent=$MY_AGENT',
    'SessionType=none',
  ]);
  assert.deepEqual(options, {
    user: 'alice',
    port: 2222,
    identityFiles: ['~/.ssh/a', 'my keys/b'],
    connectTimeout: 90_000,
    keepAliveInterval: 0,
    keepAliveCount: 4,
    exitOnForwardFailure: false,
    variables: { A: '1', B: 'two words' },
    passedVariables: ['LANG', 'LC_*'],
    escapeWith: 2,
    tty: 'force',
    localForwards: ['8080:db:80'],
    remoteForwards: ['9000:localhost:3000'],
    dynamicForwards: ['1080'],
    hostKeys: 'strict',
    forwardAgent: '$MY_AGENT',
    hasNoSession: true,
  });
});

test('what says no more than what happens anyway is taken; what would be passed over is refused', () => {
  const nothing = parseSshOptions([]);
  assert.deepEqual(parseSshOptions(['BatchMode=yes', 'Compression=no', 'ControlMaster no', 'LogLevel=ERROR']), nothing);
  for (const [text, said, hint] of [
    ['Compression=yes', /that this client does not have/, /ProxyCommand='cloudtun proxy %h %p'/],
    ['ProxyJump=bastion', /that this client does not have/, /-J/],
    ['UserKnownHostsFile=/dev/null', /that this client does not have/, /ProxyCommand/],
    ['StrictHostKeyChecking=off', /whoever answers/, /--forget-host-key/],
    ['CertificateFile=x', /OpenSSH certificate/, /ProxyCommand/],
    ['Colour=blue', /no option Colour/, /ssh_config/],
    ['Port=0', /cannot be used/, /a number from 1 to 65535/],
    ['ConnectTimeout=soon', /cannot be used/, /30, 5m/],
    ['EscapeChar=ab', /cannot be used/, /one character/],
    ['User', /is not an option/, /Name=value/],
    ['=x', /is not an option/, /Name=value/],
    ['User=', /is not an option/, /Name=value/],
  ] as const) {
    const error = refusal(() => parseSshOptions([text]));
    assert.equal(error.code, 'CT_USAGE', text);
    assert.match(error.message, said, text);
    assert.match(error.hints.join('\n'), hint, text);
  }
});

test('rules: loopback unless an address is given, far ones as the sshd wants them', () => {
  const rules = parseSshRules({
    local: ['8080:db.internal:80', '*:8081:[fd00::1]:80'],
    dynamic: ['1080', '[::1]:1081', ':1082'],
    remote: ['9000:localhost:3000', '*:9001:db.lan:5432', '10.0.0.5:0:127.0.0.1:1'],
  });
  assert.deepEqual(
    rules.local.map(({ bind, port, to }) => [bind, port, to]),
    [
      [['localhost'], 8080, { host: 'db.internal', port: 80 }],
      [['*'], 8081, { host: 'fd00::1', port: 80 }],
    ],
  );
  assert.deepEqual(
    rules.dynamic.map(({ bind, port }) => [bind, port]),
    [
      [['localhost'], 1080],
      [['::1'], 1081],
      [['*'], 1082],
    ],
  );
  assert.deepEqual(
    rules.remote.map(({ remote, local }) => [remote, local]),
    [
      [
        { host: 'localhost', port: 9000 },
        { host: 'localhost', port: 3000 },
      ],
      [
        { host: '', port: 9001 },
        { host: 'db.lan', port: 5432 },
      ],
      [
        { host: '10.0.0.5', port: 0 },
        { host: 'localhost', port: 1 },
      ],
    ],
  );
  assert.match(describeRules(rules), /^-L 8080:db\.internal:80 .* -R 9000:localhost:3000 .* -D 1080 /);
  for (const dynamic of ['x', '70000', 'host:1', '1:2:3']) {
    assert.equal(refusal(() => parseSshRules({ local: [], dynamic: [dynamic], remote: [] })).code, 'CT_USAGE');
  }
  for (const remote of ['9000', '*:9000', '9000:a']) {
    assert.equal(refusal(() => parseSshRules({ local: [], dynamic: [], remote: [remote] })).code, 'CT_USAGE');
  }
});

test('flags of ssh that are not there are found before the command, and not in values or behind it', () => {
  const flags = { ...Ssh.baseFlags, ...Ssh.flags };
  const found = (...argv: string[]) => foreignFlag(argv, flags)?.message.slice(0, 2);
  assert.equal(found('-f', 'web-1'), '-f');
  assert.equal(found('-Nf', 'web-1'), '-f');
  assert.equal(found('-N', '-L', '8080:x:80', '-W', 'a:1'), '-W');
  assert.equal(found('-l', '-f', 'web-1'), undefined);
  assert.equal(found('-lfoo', 'web-1'), undefined);
  assert.equal(found('-o', 'User=x', 'web-1', '--', 'tail', '-f', 'log'), undefined);
  assert.equal(found('-Z', 'web-1'), undefined);
});

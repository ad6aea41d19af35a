import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readPeerStates } from '../../../src/runtime/peer-socket.ts';
import { commandName, describePortHolder } from '../../../src/runtime/port-holder.ts';
import { scanTcpTable, type TcpRow, tcpKey } from '../../../src/runtime/tcp-table.ts';

const HEADER = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const row = (local: string, remote: string, state: string, inode: number) =>
  `   0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000  1000        0 ${inode} 1 0000000000000000 100 0 0 10 0\n`;

test('keys are words in the byte order of the machine, ports are not', () => {
  assert.equal(tcpKey('127.0.0.1', 13_306, true), '0100007F:33FA');
  assert.equal(tcpKey('127.0.0.1', 13_306, false), '7F000001:33FA');
  assert.equal(tcpKey('::ffff:127.0.0.1', 80, true), '0100007F:0050');
  assert.equal(tcpKey('::1', 80, true), '00000000000000000000000001000000:0050');
  assert.equal(tcpKey('fe80::1:2%eth0', 80, false), 'FE800000000000000000000000010002:0050');
  assert.equal(tcpKey('1:2:3:4:5:6:7:8', 65_535, false), '00010002000300040005000600070008:FFFF');
  assert.equal(tcpKey('::', 1, true), `${'0'.repeat(32)}:0001`);
});

test('rows are read by column, and lines that are not rows are passed over', () => {
  const rows: TcpRow[] = [];
  const text = `${HEADER}${row('0100007F:33FA', '00000000:0000', '0A', 31_337)}garbage\n   1: 0100007F:0001 0100007F\n`;
  scanTcpTable(text, (found) => rows.push(found));
  assert.deepEqual(rows, [{ local: '0100007F:33FA', remote: '00000000:0000', state: 10, uid: 1000, inode: 31_337 }]);
  scanTcpTable('', () => assert.fail('an empty table has no rows'));
  scanTcpTable(HEADER, () => assert.fail('a header is no row'));
  scanTcpTable(HEADER.trimEnd(), () => assert.fail('a header is no row'));
});

test('one read tells of many peers: held, released, absent, IPv6, mapped, and not on loopback', async () => {
  const ours = { localAddress: '127.0.0.1', localPort: 13_306, remoteAddress: '127.0.0.1' };
  const server = tcpKey('127.0.0.1', 13_306);
  const mapped = (address: string, port: number) =>
    `${'0'.repeat(16)}${tcpKey('0.0.255.255', 0).slice(0, 8)}${tcpKey(address, port)}`;
  let reads = 0;
  const tables = async () => {
    reads += 1;
    return [
      HEADER +
        row(tcpKey('127.0.0.1', 1001), server, '05', 77) +
        row(tcpKey('127.0.0.1', 1002), server, '05', 0) +
        // The same port of the client, used towards another server.
        row(tcpKey('127.0.0.1', 1003), tcpKey('127.0.0.1', 5432), '01', 78),
      HEADER +
        row(mapped('127.0.0.1', 1004), mapped('127.0.0.1', 13_306), '01', 79) +
        row(tcpKey('::1', 1005), tcpKey('::1', 13_306), '01', 80),
    ];
  };
  const states = await readPeerStates(
    [
      { ...ours, remotePort: 1001 },
      { ...ours, remotePort: 1002 },
      { ...ours, remotePort: 1003 },
      { ...ours, remotePort: 1004 },
      { localAddress: '::1', localPort: 13_306, remoteAddress: '::1', remotePort: 1005 },
      { ...ours, remoteAddress: '192.0.2.7', remotePort: 1006 },
    ],
    tables,
  );
  assert.deepEqual(states, ['held', 'released', 'absent', 'held', 'held', 'unknown']);
  assert.equal(reads, 1);
});

test('a system without the tables does not know', async () => {
  const ends = { localAddress: '127.0.0.1', localPort: 1, remoteAddress: '127.0.0.1', remotePort: 2 };
  assert.deepEqual(await readPeerStates([ends], async () => undefined), ['unknown']);
});

test('a holder is described by what is known of it', () => {
  assert.equal(describePortHolder({ uid: 0 }), 'a process of uid 0');
  assert.equal(describePortHolder({ uid: 0, pid: 812 }), 'pid 812');
  assert.equal(describePortHolder({ uid: 0, pid: 812, command: 'mysqld' }), 'mysqld (pid 812)');
});

test('a command is its program, with its script where that says more, and none of its arguments', () => {
  const name = (...words: string[]) => commandName(words.map((word) => `${word}\0`).join(''));
  assert.equal(name('/usr/sbin/mysqld', '--password=hunter2'), 'mysqld');
  assert.equal(name('node', '/usr/local/bin/cloudtun', 'rds', 'prod'), 'node cloudtun');
  assert.equal(name('/usr/bin/python3.11', '-c', 'import secret'), 'python3.11');
  assert.equal(name('python3', '/srv/app/serve.py', '--token', 'x'), 'python3 serve.py');
  assert.equal(name('nginx: master process /usr/sbin/nginx'), 'nginx');
  assert.equal(name('-bash'), 'bash');
  assert.equal(name('/opt/evil\u001b[31m'), 'evil[31m');
  assert.equal(name(`/opt/${'x'.repeat(99)}`).length, 40);
  assert.equal(name(), '');
});

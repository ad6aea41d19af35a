import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MysqlGoodbye, PROBE_USER } from '../../../../src/forward/core/mysql-goodbye.ts';
import { encodePacket } from '../../../../src/forward/core/mysql-packets.ts';

const ACCESS_DENIED = Buffer.from('ff15042332383030304163636573732064656e696564', 'hex');

function goodbye(plugin: string | undefined, capabilities = 0xffff_ffff) {
  return new MysqlGoodbye({ label: 'MySQL 8.0.36', capabilities, plugin });
}

function switchTo(plugin: string): Buffer {
  return Buffer.concat([Buffer.of(0xfe), Buffer.from(`${plugin}\0`), Buffer.alloc(21, 0x61)]);
}

describe('leaving a MySQL server that has greeted', () => {
  test('signs in as nobody, without a password', () => {
    const packet = goodbye('mysql_native_password').start();
    assert.equal(packet.readUIntLE(0, 3), packet.length - 4);
    assert.equal(packet[3], 1, 'the sequence goes on from the greeting');
    const payload = packet.subarray(4);
    assert.equal(payload.readUInt32LE(0), 0x8_8201);
    assert.equal(payload[8], 33);
    assert.equal(payload.toString('latin1', 32), `${PROBE_USER}\0\0mysql_native_password\0`);
  });

  test('names the plugin of the server where it speaks it, so that the server need not ask', () => {
    const tail = (plugin: string | undefined) => goodbye(plugin).start().toString('latin1', 36);
    assert.equal(tail('caching_sha2_password'), `${PROBE_USER}\0\u0001\0caching_sha2_password\0`);
    assert.equal(tail('sha256_password'), `${PROBE_USER}\0\u0001\0sha256_password\0`);
    assert.equal(tail('parsec'), `${PROBE_USER}\0\0mysql_native_password\0`);
    assert.equal(tail(undefined), `${PROBE_USER}\0\0mysql_native_password\0`);
  });

  test('does not claim plugins to a server that has none', () => {
    assert.equal(goodbye(undefined, 0x8200).start().readUInt32LE(4), 0x8201);
  });

  test('is done at the refusal, in whatever pieces it comes', () => {
    const leaving = goodbye('mysql_native_password');
    leaving.start();
    const packet = encodePacket(2, ACCESS_DENIED);
    for (const byte of packet.subarray(0, -1))
      assert.deepEqual(leaving.receive(Buffer.of(byte)), { send: [], done: false });
    assert.deepEqual(leaving.receive(packet.subarray(-1)), { send: [], done: true });
  });

  test('says COM_QUIT where it was let in', () => {
    const step = goodbye(undefined).receive(encodePacket(2, Buffer.from('00000002000000', 'hex')));
    assert.deepEqual(step, { send: [Buffer.from('0100000001', 'hex')], done: true });
  });

  // The lengths are what the servers' plugins read without calling it a handshake error; see answerFor.
  for (const [plugin, length] of [
    ['mysql_native_password', 0],
    ['mysql_old_password', 0],
    ['client_ed25519', 64],
    ['caching_sha2_password', 1],
    ['sha256_password', 1],
    ['parsec', 1],
    ['dialog', 1],
    ['auth_gssapi_client', 1],
  ] as const) {
    test(`asked for ${plugin} it answers ${length} bytes, and goes on to the refusal`, () => {
      const leaving = goodbye('mysql_native_password');
      const asked = leaving.receive(encodePacket(2, switchTo(plugin)));
      assert.deepEqual(asked, { send: [encodePacket(3, Buffer.alloc(length))], done: false });
      assert.deepEqual(leaving.receive(encodePacket(4, ACCESS_DENIED)), { send: [], done: true });
    });
  }

  test('the one-byte question of MySQL 4.0 gets an empty answer', () => {
    const step = goodbye('mysql_native_password').receive(encodePacket(2, Buffer.of(0xfe)));
    assert.deepEqual(step, { send: [encodePacket(3, Buffer.alloc(0))], done: false });
  });

  test('waits after "fast authentication done", answers other data', () => {
    const leaving = goodbye('caching_sha2_password');
    assert.deepEqual(leaving.receive(encodePacket(2, Buffer.of(1, 3))), { send: [], done: false });
    assert.deepEqual(leaving.receive(encodePacket(3, Buffer.of(1, 4))).send, [encodePacket(4, Buffer.of(0))]);
  });

  test('a server that asks for ever gets eight answers', () => {
    const leaving = goodbye('mysql_native_password');
    const asking = Buffer.concat(Array.from({ length: 50 }, () => encodePacket(2, switchTo('dialog'))));
    const step = leaving.receive(asking);
    assert.equal(step.done, true);
    assert.equal(step.send.length, 9);
  });

  test('a length that no handshake packet has ends it', () => {
    assert.throws(() => goodbye(undefined).receive(Buffer.from('ffffff02', 'hex')), { code: 'CT_PROTO_FRAME' });
  });
});

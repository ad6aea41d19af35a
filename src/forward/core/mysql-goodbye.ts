import type { MysqlGreeting } from './mysql-greeting.ts';
import { encodePacket, type MysqlPacket, MysqlPacketReader } from './mysql-packets.ts';

/**
 * Leaves a MySQL or MariaDB server that has greeted, without counting as a broken connection. Sans I/O.
 *
 * Whoever hangs up instead of answering the greeting adds one to the host's connect errors, and at `max_connect_errors` (100 unless
 * changed) the server blocks the address for everybody. Only handshake errors are counted so (MySQL `Host_errors::
 * sum_connect_errors`, the same in MariaDB); a refused sign-in is not. So we sign in as a user that does not exist, with no password,
 * and wait for the refusal.
 *
 * The trap is in the middle: to hide which users exist, servers pretend, and ask for another authentication plugin. MySQL 8 draws one
 * of its own at random per name; MariaDB takes that of any real account. A plugin that gets an answer of the wrong length ends with
 * a handshake error, which does count. What each plugin must be told to end with a plain refusal is in `answerFor`.
 *
 * What is left on the server: a line `Access denied for user 'cloudtun_probe'` where it logs failed sign-ins (`log_warnings` > 1,
 * `log_error_verbosity` > 2). Left out: TLS. Both servers check `require_secure_transport` only after the sign-in.
 */
export const PROBE_USER = 'cloudtun_probe';

/** Capability flags, MySQL internals manual "Capabilities Flags". */
const LONG_PASSWORD = 0x1;
const PROTOCOL_41 = 0x200;
const SECURE_CONNECTION = 0x8000;
/** Without it MySQL 5.7 and up end with a handshake error as soon as the pretended account needs another plugin than native. */
const PLUGIN_AUTH = 0x8_0000;
/** utf8_general_ci: one that every server since 4.1 has; an unknown one would be a handshake error. */
const CHARACTER_SET = 33;

/** Handshake packets are small; the longest is a public key in PEM. Guessed with room. */
const MAX_PACKET_LENGTH = 16_384;
/** MariaDB accounts may name several plugins, which are asked one after the other. Guessed with room. */
const MAX_ANSWERS = 8;

const EMPTY = Buffer.alloc(0);
const ZERO_BYTE = Buffer.alloc(1);
const COM_QUIT = encodePacket(0, Buffer.of(1));

export interface GoodbyeStep {
  /** To be sent now. */
  readonly send: readonly Buffer[];
  /** True when the server has said its last word: closing harms no more once `send` is out. */
  readonly done: boolean;
}

export class MysqlGoodbye {
  readonly #greeting: MysqlGreeting;
  readonly #packets = new MysqlPacketReader(MAX_PACKET_LENGTH);
  #answers = 0;
  #done = false;

  constructor(greeting: MysqlGreeting) {
    this.#greeting = greeting;
  }

  /** The sign-in to send first (HandshakeResponse41, sequence 1). */
  start(): Buffer {
    const { capabilities, plugin } = this.#greeting;
    // Naming the server's own plugin spares the question for another one; a plugin we do not know, we do not claim to speak.
    const ours = plugin === 'caching_sha2_password' || plugin === 'sha256_password' ? plugin : 'mysql_native_password';
    const head = Buffer.alloc(32);
    head.writeUInt32LE(LONG_PASSWORD | PROTOCOL_41 | SECURE_CONNECTION | (capabilities & PLUGIN_AUTH), 0);
    head.writeUInt32LE(MAX_PACKET_LENGTH, 4);
    head[8] = CHARACTER_SET;
    const answer = answerFor(ours);
    return encodePacket(
      1,
      Buffer.concat([head, Buffer.from(`${PROBE_USER}\0`), Buffer.of(answer.length), answer, Buffer.from(`${ours}\0`)]),
    );
  }

  /**
   * Takes bytes of the server and says what to answer.
   *
   * @throws CT_PROTO_FRAME when a packet claims more than any handshake packet has
   */
  receive(bytes: Uint8Array): GoodbyeStep {
    const send: Buffer[] = [];
    for (const packet of this.#packets.receive(bytes)) {
      if (this.#done) break;
      const answer = this.#answer(packet);
      if (answer) send.push(answer);
    }
    return { send, done: this.#done };
  }

  #answer({ sequence, payload }: MysqlPacket): Buffer | undefined {
    const reply = (answer: Buffer) => {
      this.#answers += 1;
      if (this.#answers > MAX_ANSWERS) this.#done = true;
      return encodePacket(sequence + 1, answer);
    };
    switch (payload[0]) {
      case 0xff: // ERR: the refusal we came for
        this.#done = true;
        return undefined;
      case 0x00: // OK: there is an anonymous account, or no grant tables at all
        this.#done = true;
        return COM_QUIT;
      case 0xfe: // AuthSwitchRequest; a single byte asks for the password of MySQL 4.0
        return reply(answerFor(pluginName(payload) ?? 'mysql_old_password'));
      case 0x01: // AuthMoreData; 3 is "fast authentication done, OK follows" of caching_sha2_password
        return payload[1] === 3 ? undefined : reply(ZERO_BYTE);
      default: // MariaDB's plugins send some data bare, such as the question of `dialog`
        return reply(ZERO_BYTE);
    }
  }
}

function pluginName(payload: Buffer): string | undefined {
  if (payload.length < 2) return undefined;
  const end = payload.indexOf(0, 1);
  return payload.toString('latin1', 1, end < 0 ? payload.length : end);
}

/**
 * What a plugin is told so that it refuses without a handshake error (read in sql/auth/sql_authentication.cc and sha2_password.cc of
 * MySQL 8, sql/sql_acl.cc and plugin/auth_* of MariaDB; ed25519 and native also tried against MariaDB 10.11).
 */
function answerFor(plugin: string): Buffer {
  switch (plugin) {
    case 'mysql_native_password': // any length but 0 and 20 is a handshake error
    case 'mysql_old_password': // any length but 0 and 8 is
      return EMPTY;
    case 'client_ed25519': // any length but 64 is; a wrong signature is a refusal
      return Buffer.alloc(64);
    default:
      // sha256_password and caching_sha2_password read a single 0 as "no password". parsec wants nothing here and takes anything
      // else for a plugin error, which is just right: with the proper exchange even its wrong signatures are handshake errors.
      return ZERO_BYTE;
  }
}

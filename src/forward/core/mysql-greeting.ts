import { CloudtunError } from '../../domain/errors.ts';
import { MysqlPacketReader } from './mysql-packets.ts';
import { serverText } from './server-text.ts';

/**
 * What a MySQL or MariaDB server says first (MySQL internals manual, "Protocol::HandshakeV10"), sans I/O. The payload is
 *
 *     0  1  protocol version, 10 since MySQL 3.21; 0xff means an error packet in its place
 *     1  n  server version, NUL-terminated
 *        4  connection id
 *        8  first part of the scramble
 *        1  0
 *        2  capabilities, low half
 *        1  character set
 *        2  status
 *        2  capabilities, high half
 *        1  length of the scramble
 *       10  reserved (MariaDB keeps its own capabilities in the last 4)
 *        n  rest of the scramble: max(13, length - 8) bytes
 *        n  name of the default authentication plugin, NUL-terminated (MySQL before 5.5.10 leaves the NUL away)
 *
 * Left out: protocol 9, and everything a client needs the scramble for. We never log in.
 */
export interface MysqlGreeting {
  /** `MySQL 8.0.36`, `MariaDB 10.11.6`. */
  readonly label: string;
  readonly capabilities: number;
  /** The plugin the server assumes until it knows the user. */
  readonly plugin: string | undefined;
}

/** A greeting has 60 to 130 bytes, an error text at most 512. Guessed with room. */
const MAX_GREETING_LENGTH = 4_096;
const PROTOCOL_VERSION = 10;
const ERROR_PACKET = 0xff;

/** Error numbers whose cause is known well enough to name the next step. */
const REFUSAL_HINTS: Readonly<Record<number, string>> = {
  1040: 'close connections that nobody uses, or raise max_connections on the server',
  1129: 'the server blocks the address that reached it after too many broken connections; its administrator lifts it with FLUSH HOSTS, or TRUNCATE TABLE performance_schema.host_cache',
  1130: 'no account on the server admits the address that reached it; its administrator must create one',
  1203: 'close connections of the same account, or raise max_user_connections on the server',
};

/** Waits for the greeting. `where` names the far side in errors. */
export class MysqlGreetingReader {
  readonly #packets = new MysqlPacketReader(MAX_GREETING_LENGTH);
  readonly #where: string;

  constructor(where: string) {
    this.#where = where;
  }

  /**
   * Takes bytes; gives the greeting once it is complete.
   *
   * @throws CT_DATABASE_REFUSED with the server's words; CT_REMOTE_UNEXPECTED when this is no MySQL
   */
  receive(bytes: Uint8Array): MysqlGreeting | undefined {
    let packet: ReturnType<MysqlPacketReader['receive']>[number] | undefined;
    try {
      packet = this.#packets.receive(bytes)[0];
    } catch (cause) {
      throw this.#unexpected(cause);
    }
    if (!packet) return undefined;
    if (packet.payload[0] === ERROR_PACKET && packet.payload.length >= 3) throw this.#refusal(packet.payload);
    const greeting = packet.sequence === 0 ? parseGreeting(packet.payload) : undefined;
    if (!greeting) throw this.#unexpected();
    return greeting;
  }

  #refusal(payload: Buffer): CloudtunError {
    const number = payload.readUInt16LE(1);
    // `#` and five letters of SQL state follow only when the server knows that the client understands them: mostly not yet.
    const text = serverText(payload.subarray(payload[3] === 0x23 ? 9 : 3), 512);
    const hint = REFUSAL_HINTS[number];
    return new CloudtunError(
      'CT_DATABASE_REFUSED',
      `${this.#where} answered with MySQL error ${number}: ${text}`,
      hint === undefined ? {} : { hint },
    );
  }

  #unexpected(cause?: unknown): CloudtunError {
    return new CloudtunError('CT_REMOTE_UNEXPECTED', `${this.#where} answers, but not as MySQL or MariaDB does`, {
      hint: 'check the host and port, and that nothing else listens there',
      cause,
    });
  }
}

/** The greeting in a payload, or undefined when it is none. */
function parseGreeting(payload: Buffer): MysqlGreeting | undefined {
  if (payload[0] !== PROTOCOL_VERSION) return undefined;
  const versionEnd = payload.indexOf(0, 1);
  // After the version: connection id, scramble part, filler, low capabilities. All servers since 3.23 send at least those.
  const afterVersion = versionEnd + 1;
  if (versionEnd < 0 || payload.length < afterVersion + 15) return undefined;
  const label = versionLabel(serverText(payload.subarray(1, versionEnd), 60));
  const low = payload.readUInt16LE(afterVersion + 13);
  if (payload.length < afterVersion + 31) return { label, capabilities: low, plugin: undefined };
  const high = payload.readUInt16LE(afterVersion + 18);
  const scrambleLength = payload[afterVersion + 20]!;
  const pluginStart = afterVersion + 31 + Math.max(13, scrambleLength - 8);
  const pluginEnd = payload.indexOf(0, pluginStart);
  const plugin = serverText(payload.subarray(pluginStart, pluginEnd < 0 ? payload.length : pluginEnd), 60);
  return { label, capabilities: low + high * 0x1_0000, plugin: plugin === '' ? undefined : plugin };
}

/**
 * `MySQL 8.0.36` from `8.0.36-0ubuntu0.22.04.1`, `MariaDB 10.11.6` from `5.5.5-10.11.6-MariaDB-…`. MariaDB before 11 puts `5.5.5-`
 * in front because old replicas could not read a first number of two digits.
 */
function versionLabel(version: string): string {
  const isMariadb = /mariadb/i.test(version);
  const own = isMariadb ? version.replace(/^5\.5\.5-/, '') : version;
  const number = /^\d+(?:\.\d+)*/.exec(own)?.[0];
  return `${isMariadb ? 'MariaDB' : 'MySQL'} ${number ?? own}`.trim();
}

import { createHash } from 'node:crypto';
import { type MysqlColumn, type MysqlError, MysqlType, type SqlValue, textOf } from './mysql-result.ts';

/*
 * Payloads of the MySQL protocol as a server writes and reads them (MySQL internals manual, "Client/Server Protocol"). Left out: TLS,
 * compression, CLIENT_DEPRECATE_EOF and sessions tracked: the server half of those would only be more to get wrong.
 */

export const NATIVE_PASSWORD = 'mysql_native_password';
export const CACHING_SHA2_PASSWORD = 'caching_sha2_password';

/** Capability flags the lab claims: what every client of this century can do without TLS. */
const CAPABILITIES =
  0x1 | // LONG_PASSWORD
  0x2 | // FOUND_ROWS
  0x4 | // LONG_FLAG
  0x8 | // CONNECT_WITH_DB
  0x100 | // IGNORE_SPACE
  0x200 | // PROTOCOL_41
  0x400 | // INTERACTIVE
  0x2000 | // TRANSACTIONS
  0x8000 | // SECURE_CONNECTION
  0x8_0000 | // PLUGIN_AUTH
  0x10_0000 | // CONNECT_ATTRS
  0x20_0000; // PLUGIN_AUTH_LENENC_CLIENT_DATA
const STATUS_AUTOCOMMIT = 0x0002;
const UTF8MB4 = 45;
const BINARY = 63;

const nul = (text: string) => Buffer.from(`${text}\0`);
const u16 = (value: number) => Buffer.of(value & 0xff, (value >> 8) & 0xff);
const u32 = (value: number) => Buffer.of(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24);

function lengthEncoded(value: number): Buffer {
  if (value < 0xfb) return Buffer.of(value);
  if (value < 0x1_0000) return Buffer.concat([Buffer.of(0xfc), u16(value)]);
  const bytes = Buffer.alloc(4);
  bytes[0] = 0xfd;
  bytes.writeUIntLE(value, 1, 3);
  return bytes;
}

function lengthEncodedBytes(bytes: Uint8Array): Buffer {
  return Buffer.concat([lengthEncoded(bytes.length), bytes]);
}

/** HandshakeV10. @param scramble 20 bytes without a zero */
export function greetingPayload(serverVersion: string, connectionId: number, scramble: Buffer): Buffer {
  return Buffer.concat([
    Buffer.of(10),
    nul(serverVersion),
    u32(connectionId),
    scramble.subarray(0, 8),
    Buffer.of(0),
    u16(CAPABILITIES & 0xffff),
    Buffer.of(UTF8MB4),
    u16(STATUS_AUTOCOMMIT),
    u16(CAPABILITIES >>> 16),
    Buffer.of(scramble.length + 1),
    Buffer.alloc(10),
    scramble.subarray(8),
    Buffer.of(0),
    nul(NATIVE_PASSWORD),
  ]);
}

export function okPayload(): Buffer {
  return Buffer.concat([Buffer.of(0, 0, 0), u16(STATUS_AUTOCOMMIT), u16(0)]);
}

export function eofPayload(): Buffer {
  return Buffer.concat([Buffer.of(0xfe), u16(0), u16(STATUS_AUTOCOMMIT)]);
}

/** @param withState false before the client's capabilities are known */
export function errorPayload(error: MysqlError, withState = true): Buffer {
  const state = withState ? `#${error.sqlState}` : '';
  return Buffer.concat([Buffer.of(0xff), u16(error.number), Buffer.from(`${state}${error.message}`)]);
}

export function authSwitchPayload(plugin: string, scramble: Buffer): Buffer {
  return Buffer.concat([Buffer.of(0xfe), nul(plugin), scramble, Buffer.of(0)]);
}

/** AuthMoreData of caching_sha2_password: the hash was right, OK follows. */
export const FAST_AUTHENTICATION_DONE = Buffer.of(1, 3);

export interface SignIn {
  readonly user: string;
  readonly answer: Buffer;
  readonly database: string | undefined;
  readonly plugin: string;
}

/** HandshakeResponse41; undefined when it is malformed or older than MySQL 4.1. */
export function parseSignIn(payload: Buffer): SignIn | undefined {
  if (payload.length < 33) return undefined;
  const capabilities = payload.readUInt32LE(0);
  if (!(capabilities & 0x200) || !(capabilities & 0x8000)) return undefined;
  const reader = new PayloadReader(payload, 32);
  const user = reader.text();
  const answer = reader.bytes(capabilities & 0x20_0000 ? reader.lengthEncoded() : reader.uint(1));
  const database = capabilities & 0x8 ? reader.text() : '';
  const plugin = capabilities & 0x8_0000 ? reader.text() : NATIVE_PASSWORD;
  if (reader.isOverrun) return undefined;
  return { user, answer, database: database === '' ? undefined : database, plugin };
}

const hash = (algorithm: string, ...parts: Uint8Array[]) => {
  const digest = createHash(algorithm);
  for (const part of parts) digest.update(part);
  return digest.digest();
};

/** What the plugin answers to the scramble for this password; nothing for no password. */
export function expectedAnswer(plugin: string, password: string, scramble: Buffer): Buffer {
  if (password === '') return Buffer.alloc(0);
  const [algorithm, inOrder] =
    plugin === CACHING_SHA2_PASSWORD ? (['sha256', false] as const) : (['sha1', true] as const);
  const once = hash(algorithm, Buffer.from(password));
  const twice = hash(algorithm, once);
  const mask = inOrder ? hash(algorithm, scramble, twice) : hash(algorithm, twice, scramble);
  return Buffer.from(once.map((byte, index) => byte ^ mask[index]!));
}

export function columnPayload(column: MysqlColumn): Buffer {
  const isText = column.type === MysqlType.varString || column.type === MysqlType.string;
  const names = ['def', column.schema, column.table, column.table, column.name, column.originalName];
  return Buffer.concat([
    ...names.map((name) => lengthEncodedBytes(Buffer.from(name))),
    Buffer.of(0x0c),
    u16(isText ? UTF8MB4 : BINARY),
    u32(column.length),
    Buffer.of(column.type),
    u16(isText ? 0 : 0x80), // BINARY
    Buffer.of(column.decimals, 0, 0),
  ]);
}

export function columnCountPayload(count: number): Buffer {
  return lengthEncoded(count);
}

/** A row of COM_QUERY: every value as text. */
export function textRowPayload(row: readonly SqlValue[], columns: readonly MysqlColumn[]): Buffer {
  return Buffer.concat(
    row.map((value, index) => {
      const text = textOf(value, columns[index]!);
      return text === undefined ? Buffer.of(0xfb) : lengthEncodedBytes(text);
    }),
  );
}

/** A row of COM_STMT_EXECUTE: values by type, NULLs in a bitmap that starts at bit 2. */
export function binaryRowPayload(row: readonly SqlValue[], columns: readonly MysqlColumn[]): Buffer {
  const nulls = Buffer.alloc((row.length + 9) >> 3);
  const values = row.map((value, index) => {
    if (value !== null) return binaryValue(value, columns[index]!);
    const bit = index + 2;
    nulls[bit >> 3]! |= 1 << (bit & 7);
    return Buffer.alloc(0);
  });
  return Buffer.concat([Buffer.of(0), nulls, ...values]);
}

function binaryValue(value: Exclude<SqlValue, null>, column: MysqlColumn): Buffer {
  const bytes = Buffer.alloc(8);
  switch (column.type) {
    case MysqlType.long:
      bytes.writeInt32LE(Number(value));
      return bytes.subarray(0, 4);
    case MysqlType.longLong:
      bytes.writeBigInt64LE(BigInt(value as bigint));
      return bytes;
    case MysqlType.double:
      bytes.writeDoubleLE(Number(value));
      return bytes;
    case MysqlType.date:
    case MysqlType.datetime:
      return binaryDate(String(value));
    default:
      return lengthEncodedBytes(textOf(value, column) ?? Buffer.alloc(0));
  }
}

function binaryDate(text: string): Buffer {
  const [year = 0, month = 0, day = 0, ...time] = text.split(/[- :]/).map(Number);
  const date = [...u16(year), month, day];
  return time.length === 0 ? Buffer.of(4, ...date) : Buffer.of(7, ...date, ...time.slice(0, 3));
}

/** Answer to COM_STMT_PREPARE, before the definitions. */
export function preparedPayload(id: number, columnCount: number, parameterCount: number): Buffer {
  return Buffer.concat([Buffer.of(0), u32(id), u16(columnCount), u16(parameterCount), Buffer.of(0), u16(0)]);
}

/** Reads fields of a payload. Past the end it gives zeros and says so in `isOverrun`, to be checked once at the end. */
export class PayloadReader {
  isOverrun = false;
  readonly #payload: Buffer;
  #at: number;

  constructor(payload: Buffer, start: number) {
    this.#payload = payload;
    this.#at = start;
  }

  bytes(count: number): Buffer {
    if (this.#at + count > this.#payload.length) {
      this.isOverrun = true;
      return Buffer.alloc(0);
    }
    this.#at += count;
    return this.#payload.subarray(this.#at - count, this.#at);
  }

  uint(byteCount: number): number {
    const bytes = this.bytes(byteCount);
    return bytes.length === 0 ? 0 : bytes.readUIntLE(0, byteCount);
  }

  lengthEncoded(): number {
    const first = this.uint(1);
    if (first < 0xfb) return first;
    if (first === 0xfc) return this.uint(2);
    if (first === 0xfd) return this.uint(3);
    // 8 bytes: longer than any payload here, so whatever they say is past the end.
    this.isOverrun = true;
    return 0;
  }

  /** Up to the next NUL, or the end where the last field leaves it away. */
  text(): string {
    const end = this.#payload.indexOf(0, this.#at);
    const stop = end < 0 ? this.#payload.length : end;
    const text = this.#payload.toString('utf8', this.#at, stop);
    if (this.#at > this.#payload.length) this.isOverrun = true;
    this.#at = stop + 1;
    return text;
  }
}

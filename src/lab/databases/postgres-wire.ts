import { createHash } from 'node:crypto';
import { CloudtunError } from '../../domain/errors.ts';

/*
 * The PostgreSQL protocol as far as a front needs it (PostgreSQL manual, "Message Formats"): the startup conversation in full, after
 * that only where one message ends. Every message is a type byte and a length that counts itself; the first ones have no type.
 */

export const SSL_REQUEST = 80_877_103;
export const GSS_REQUEST = 80_877_104;
export const CANCEL_REQUEST = 80_877_102;
const PROTOCOL_3 = 196_608;

/** PostgreSQL's own bound for startup packets. */
const MAX_STARTUP_LENGTH = 10_000;
/** One message of a client to the lab. Guessed. */
const MAX_MESSAGE_LENGTH = 16 * 1_048_576;

/** Cuts what a client sends into messages, in two modes: untyped until `started` is set. Holds at most one incomplete message. */
export class PostgresMessageReader {
  started = false;
  #held: Buffer = Buffer.alloc(0);

  receive(bytes: Uint8Array): void {
    this.#held = this.#held.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#held, bytes]);
  }

  /**
   * The next whole message with its header, or undefined.
   *
   * @throws CT_PROTO_FRAME when a length is impossible, before anything of it is held
   */
  next(): Buffer | undefined {
    const typeLength = this.started ? 1 : 0;
    if (this.#held.length < typeLength + 4) return undefined;
    const length = this.#held.readUInt32BE(typeLength);
    if (length < (this.started ? 4 : 8) || length > (this.started ? MAX_MESSAGE_LENGTH : MAX_STARTUP_LENGTH)) {
      throw new CloudtunError('CT_PROTO_FRAME', `a PostgreSQL message claims ${length} bytes`);
    }
    if (this.#held.length < typeLength + length) return undefined;
    const message = this.#held.subarray(0, typeLength + length);
    this.#held = this.#held.subarray(typeLength + length);
    return message;
  }
}

export interface Startup {
  readonly user: string;
  readonly database: string;
}

/** User and database of a StartupMessage; undefined when it is none, or of another protocol version. */
export function parseStartup(message: Buffer): Startup | undefined {
  if (message.readUInt32BE(4) >>> 16 !== PROTOCOL_3 >>> 16) return undefined;
  const fields = message.toString('utf8', 8).split('\0');
  const parameters = new Map<string, string>();
  for (let index = 0; index + 1 < fields.length && fields[index] !== ''; index += 2) {
    parameters.set(fields[index]!, fields[index + 1]!);
  }
  const user = parameters.get('user');
  if (!user) return undefined;
  return { user, database: parameters.get('database') || user };
}

export function message(type: string, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(5);
  head.write(type, 'latin1');
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

const text = (value: string) => Buffer.from(`${value}\0`);
const int32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

export const AUTHENTICATION_OK = message('R', int32(0));
export const READY = message('Z', Buffer.from('I'));
export const SYNC = message('S');
export const query = (sql: string) => message('Q', text(sql));
export const CLEARTEXT_REQUEST = message('R', int32(3));
export const md5Request = (salt: Buffer) => message('R', int32(5), salt);
export const parameterStatus = (name: string, value: string) => message('S', text(name), text(value));
export const backendKey = (processId: number, secret: Buffer) => message('K', int32(processId), secret);
export const copyFail = (reason: string) => message('f', text(reason));

/** @param hint what to do about it */
export function fatal(sqlState: string, reason: string, hint?: string): Buffer {
  const fields: readonly (readonly [type: string, value: string])[] = [
    ['S', 'FATAL'],
    ['V', 'FATAL'],
    ['C', sqlState],
    ['M', reason],
    ...(hint === undefined ? [] : ([['H', hint]] as const)),
  ];
  return message('E', ...fields.map(([type, value]) => text(`${type}${value}`)), Buffer.of(0));
}

/** What a client answers to `md5Request` for this password. */
export function md5Answer(user: string, password: string, salt: Buffer): string {
  const md5 = (...parts: readonly (string | Buffer)[]) => {
    const hash = createHash('md5');
    for (const part of parts) hash.update(part);
    return hash.digest('hex');
  };
  return `md5${md5(md5(password, user), salt)}`;
}

/** The text of a PasswordMessage; undefined when it is another message. */
export function passwordOf(message: Buffer): string | undefined {
  if (message[0] !== 0x70 /* p */) return undefined;
  const end = message.indexOf(0, 5);
  return message.toString('utf8', 5, end < 0 ? message.length : end);
}

/** Follows what a server sends, in whatever pieces, and knows the transaction status of its last ReadyForQuery. */
export class ReadyWatcher {
  /** `I` idle, `T` in a transaction, `E` in a failed one; undefined while an answer is under way. */
  status: string | undefined = 'I';
  #head = Buffer.alloc(0);
  /** Bytes of the current message that are still to come and do not matter. */
  #rest = 0;

  receive(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#rest > 0) {
        const skipped = Math.min(this.#rest, bytes.length - at);
        this.#rest -= skipped;
        at += skipped;
        continue;
      }
      // Type, length and, of ReadyForQuery, the status: six bytes at most, gathered however they were cut.
      const wanted = this.#head[0] === 0x5a /* Z */ ? 6 : 5;
      const taken = bytes.subarray(at, at + wanted - this.#head.length);
      this.#head = Buffer.concat([this.#head, taken]);
      at += taken.length;
      if (this.#head.length >= 5) this.#headDone();
    }
  }

  #headDone(): void {
    const isReady = this.#head[0] === 0x5a;
    if (isReady && this.#head.length < 6) return;
    this.status = isReady ? String.fromCharCode(this.#head[5]!) : undefined;
    this.#rest = this.#head.readUInt32BE(1) + 1 - this.#head.length;
    this.#head = Buffer.alloc(0);
  }
}

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { LocalEndpoint } from '../domain/endpoint.ts';
import { md5Answer, message, query, SSL_REQUEST } from './databases/postgres-wire.ts';
import { SEED_DATABASE } from './databases/seed.ts';
import type { LabUser } from './databases/users.ts';
import type { PracticeAnswer } from './practice-query.ts';

/*
 * As much of a PostgreSQL client as one query of the demo needs (PostgreSQL manual, "Message Flow" and "Message Formats"): it opens
 * as libpq does, signs in with an MD5 password, asks one simple query and reads text rows. No TLS, no parameters, nothing binary.
 */

const PROTOCOL_3 = 196_608;
const TERMINATE = Buffer.from([0x58, 0, 0, 0, 4]);
/** An answer of the practice database has some hundred bytes. */
const MAX_MESSAGE_LENGTH = 1_048_576;

/**
 * Runs one query.
 *
 * @throws Error with the server's words, or what the socket says
 */
export async function askPostgres(local: LocalEndpoint, user: LabUser, sql: string): Promise<PracticeAnswer> {
  const socket = connect(local.port, local.host);
  try {
    await once(socket, 'connect');
    const reader = new Reader(socket);
    socket.write(Buffer.concat([int32(8), int32(SSL_REQUEST)]));
    await reader.take(1);
    socket.write(startup(user.user));
    for (;;) {
      const { type, body } = await reader.message();
      if (type === 'E') throw serverError(body);
      if (type === 'R' && body.readInt32BE(0) === 5)
        socket.write(message('p', text(md5Answer(user.user, user.password, body.subarray(4, 8)))));
      if (type === 'Z') break;
    }
    socket.write(query(sql));
    return await answerOf(reader);
  } finally {
    socket.end(TERMINATE);
  }
}

async function answerOf(reader: Reader): Promise<PracticeAnswer> {
  let columns: readonly string[] = [];
  const rows: string[][] = [];
  for (;;) {
    const { type, body } = await reader.message();
    if (type === 'E') throw serverError(body);
    if (type === 'T') columns = columnsOf(body);
    if (type === 'D') rows.push(rowOf(body));
    if (type === 'Z') return { columns, rows };
  }
}

/** Whole messages out of what a socket brings. */
class Reader {
  readonly #chunks: AsyncIterator<Buffer>;
  #held: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#chunks = socket.iterator({ destroyOnReturn: false });
  }

  async message(): Promise<{ readonly type: string; readonly body: Buffer }> {
    const head = await this.take(5);
    const length = head.readInt32BE(1) - 4;
    if (length < 0 || length > MAX_MESSAGE_LENGTH) throw new RangeError(`a message of ${length} bytes`);
    return { type: String.fromCharCode(head[0]!), body: await this.take(length) };
  }

  async take(length: number): Promise<Buffer> {
    while (this.#held.length < length) {
      const { done, value } = await this.#chunks.next();
      if (done) throw new Error('the server closed the connection');
      this.#held = Buffer.concat([this.#held, value]);
    }
    const taken = this.#held.subarray(0, length);
    this.#held = this.#held.subarray(length);
    return taken;
  }
}

/** RowDescription: a count, then for each column its name and 18 bytes about its type. */
function columnsOf(body: Buffer): readonly string[] {
  const names: string[] = [];
  for (let at = 2, left = body.readInt16BE(0); left > 0; left--) {
    const end = body.indexOf(0, at);
    names.push(body.toString('utf8', at, end));
    at = end + 1 + 18;
  }
  return names;
}

/** DataRow: a count, then for each value its length (-1: NULL) and its text. */
function rowOf(body: Buffer): string[] {
  const values: string[] = [];
  for (let at = 2, left = body.readInt16BE(0); left > 0; left--) {
    const length = body.readInt32BE(at);
    at += 4;
    values.push(length < 0 ? 'NULL' : body.toString('utf8', at, at + length));
    at += Math.max(0, length);
  }
  return values;
}

/** ErrorResponse: fields of a letter and a text; `M` is the sentence. */
function serverError(body: Buffer): Error {
  const fields = body.toString('utf8').split('\0');
  return new Error(fields.find((field) => field.startsWith('M'))?.slice(1) ?? 'the server refused');
}

function startup(user: string): Buffer {
  const body = Buffer.concat([int32(PROTOCOL_3), ...['user', user, 'database', SEED_DATABASE].map(text), Buffer.of(0)]);
  return Buffer.concat([int32(body.length + 4), body]);
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

const text = (value: string): Buffer => Buffer.from(`${value}\0`);

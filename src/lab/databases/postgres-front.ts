import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { World } from '../../runtime/world.ts';
import { type LabDatabase, listenOnLoopback } from './lab-database.ts';
import { type BackendSeat, PostgresBackend } from './postgres-backend.ts';
import {
  AUTHENTICATION_OK,
  backendKey,
  CANCEL_REQUEST,
  CLEARTEXT_REQUEST,
  fatal,
  GSS_REQUEST,
  md5Answer,
  md5Request,
  PostgresMessageReader,
  parameterStatus,
  parseStartup,
  passwordOf,
  READY,
  SSL_REQUEST,
  type Startup,
} from './postgres-wire.ts';
import { SEED_DATABASE } from './seed.ts';
import { describeUsers, LAB_USERS, type LabUser } from './users.ts';

export interface PostgresDatabaseOptions {
  /** 0, the default, stands for any free port. */
  readonly port?: number;
  readonly users?: readonly LabUser[];
  /** The user whom a token lets in; undefined: nobody. */
  readonly tokenLogin?: (token: string) => string | undefined;
}

export interface PostgresCounters {
  /** Connections accepted since the start. */
  readonly connections: number;
  readonly openConnections: number;
  readonly signIns: number;
  readonly refusedSignIns: number;
  /** Connections that asked for TLS, and were told no. */
  readonly sslRequests: number;
}

export interface PostgresDatabase extends LabDatabase {
  counters(): PostgresCounters;
  /** Whether PostgreSQL was loaded, or is being loaded now. */
  readonly isLoaded: boolean;
}

/** What a client is told of the server when it is let in; drivers rely on these. */
const PARAMETERS = {
  server_encoding: 'UTF8',
  client_encoding: 'UTF8',
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  integer_datetimes: 'on',
  standard_conforming_strings: 'on',
} as const;
const TERMINATE = 0x58; // X

/**
 * The lab's PostgreSQL on a loopback port: a real PostgreSQL 18 (`PostgresBackend`, which says how clients share it) behind a front
 * that checks user, password and database name, which PGlite does not. No TLS. `current_database()` says `postgres`, whatever the
 * client connected to: PGlite has one database, and both names lead to it.
 *
 * PostgreSQL itself is loaded when the first client sends its StartupMessage; that client waits 2 to 4 s for the answer to its
 * password, without any message. A probe (SSLRequest and nothing more) loads nothing.
 *
 * @throws CT_LAB_FAILED when the port cannot be had
 */
export async function startPostgresDatabase(
  world: World,
  options: PostgresDatabaseOptions = {},
): Promise<PostgresDatabase> {
  const users = options.users ?? LAB_USERS;
  const backend = new PostgresBackend(world, users);
  const counters = { connections: 0, openConnections: 0, signIns: 0, refusedSignIns: 0, sslRequests: 0 };

  const serve = async (socket: Socket) => {
    const messages = new MessageSocket(socket);
    const startup = await startupOf(messages, () => {
      counters.sslRequests += 1;
    });
    if (!startup) return;
    const refusal = await refusalOf(messages, startup, { users, tokenLogin: options.tokenLogin }, world);
    if (refusal) {
      counters.refusedSignIns += 1;
      return await messages.write(refusal);
    }
    counters.signIns += 1;
    const version = await backend.load();
    await messages.write(welcome(version, startup, counters.connections, world));
    const seat = backend.seat(startup.user);
    try {
      await relay(messages, seat);
    } finally {
      await seat.leave();
    }
  };

  const server = createServer({ noDelay: true }, (socket) => {
    counters.connections += 1;
    counters.openConnections += 1;
    socket.on('close', () => {
      counters.openConnections -= 1;
    });
    serve(socket)
      .catch((failure: unknown) => world.log.debug(`lab: a PostgreSQL client was dropped: ${String(failure)}`))
      .finally(() => socket.destroySoon());
  });
  const database = await listenOnLoopback(server, options.port ?? 0, () => backend.close());
  return {
    ...database,
    counters: () => ({ ...counters }),
    get isLoaded() {
      return backend.isLoaded;
    },
  };
}

/** A socket that speaks in PostgreSQL messages, read no faster than they are asked for. */
class MessageSocket {
  readonly #socket: Socket;
  readonly #reader = new PostgresMessageReader();
  readonly #chunks: AsyncIterator<Buffer>;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#chunks = socket.iterator({ destroyOnReturn: false })[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** From now on messages have a type byte. */
  started(): void {
    this.#reader.started = true;
  }

  /** The next message; undefined when the client is gone. @throws CT_PROTO_FRAME */
  async next(): Promise<Buffer | undefined> {
    for (;;) {
      const message = this.#reader.next();
      if (message) return message;
      const chunk = await this.#chunks.next().catch(() => undefined);
      if (!chunk || chunk.done) return undefined;
      this.#reader.receive(chunk.value);
    }
  }

  /** Resolves when the client has room for more, or is gone. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#socket.destroyed || bytes.length === 0) return;
    if (this.#socket.write(bytes)) return;
    const abort = new AbortController();
    await Promise.race([
      once(this.#socket, 'drain', { signal: abort.signal }),
      once(this.#socket, 'close', { signal: abort.signal }),
    ]).catch(() => {});
    abort.abort();
  }
}

/** The conversation up to the StartupMessage; undefined when there is none to come. */
async function startupOf(messages: MessageSocket, countSslRequest: () => void): Promise<Startup | undefined> {
  for (;;) {
    const message = await messages.next();
    if (!message) return undefined;
    const code = message.readUInt32BE(4);
    // There is no process to cancel anything in; PostgreSQL answers a CancelRequest with nothing, too.
    if (code === CANCEL_REQUEST) return undefined;
    if (code === SSL_REQUEST || code === GSS_REQUEST) {
      if (code === SSL_REQUEST) countSslRequest();
      await messages.write(Buffer.from('N'));
      continue;
    }
    const startup = parseStartup(message);
    if (!startup) await messages.write(fatal('0A000', 'unsupported frontend protocol'));
    else messages.started();
    return startup;
  }
}

interface SignInRules {
  readonly users: readonly LabUser[];
  readonly tokenLogin: ((token: string) => string | undefined) | undefined;
}

/** What to tell a client that may not come in; undefined when it may. */
async function refusalOf(
  messages: MessageSocket,
  { user, database }: Startup,
  { users, tokenLogin }: SignInRules,
  world: World,
): Promise<Buffer | undefined> {
  if (users.some((each) => each.user === user && each.byToken)) {
    await messages.write(CLEARTEXT_REQUEST);
    const token = await messages.next();
    if (token && tokenLogin?.(passwordOf(token) ?? '') === user) return databaseRefusal(database);
    return fatal(
      '28P01',
      `PAM authentication failed for user "${user}"`,
      'the token is not one for this endpoint and user',
    );
  }
  const salt = world.random.bytes(4);
  await messages.write(md5Request(salt));
  const answer = await messages.next();
  const known = users.find((each) => each.user === user);
  if (!known || !answer || passwordOf(answer) !== md5Answer(user, known.password, salt)) {
    return fatal('28P01', `password authentication failed for user "${user}"`, describeUsers(users));
  }
  return databaseRefusal(database);
}

function databaseRefusal(database: string): Buffer | undefined {
  if (database === SEED_DATABASE || database === 'postgres') return undefined;
  return fatal('3D000', `database "${database}" does not exist`, `the lab has ${SEED_DATABASE}`);
}

function welcome(version: string, { user }: Startup, processId: number, world: World): Buffer {
  const parameters = { server_version: version, session_authorization: user, is_superuser: 'off', ...PARAMETERS };
  return Buffer.concat([
    AUTHENTICATION_OK,
    ...Object.entries(parameters).map(([name, value]) => parameterStatus(name, value)),
    backendKey(processId, world.random.bytes(4)),
    READY,
  ]);
}

async function relay(messages: MessageSocket, seat: BackendSeat): Promise<void> {
  for (;;) {
    const message = await messages.next();
    if (!message || message[0] === TERMINATE) return;
    try {
      await messages.write(await seat.send(message));
    } catch (failure) {
      // Emscripten throws objects of its own that are no Errors.
      const reason = (failure as { message?: string } | undefined)?.message ?? String(failure);
      await messages.write(fatal('XX000', `the lab's PostgreSQL crashed and starts anew: ${reason}`));
      throw failure;
    }
  }
}

import { createServer, type Server, type Socket } from 'node:net';
import type { Millis } from '../../domain/millis.ts';
import type { World } from '../../runtime/world.ts';
import { HostErrors } from './host-errors.ts';
import { type LabDatabase, listenOnLoopback } from './lab-database.ts';
import { SERVER_VERSION } from './mysql-catalog.ts';
import { MysqlCommands } from './mysql-commands.ts';
import { MysqlEngine } from './mysql-engine.ts';
import { countOutcome, hostBlocked, signIn } from './mysql-sign-in.ts';
import { errorPayload, greetingPayload, okPayload } from './mysql-wire.ts';
import { ClientGone, PacketSocket } from './packet-socket.ts';
import { LAB_USERS, type LabUser } from './users.ts';

export interface MysqlDatabaseOptions {
  /** 0, the default, stands for any free port. */
  readonly port?: number;
  readonly users?: readonly LabUser[];
  /** MySQL's max_connect_errors, 100 unless given. */
  readonly maxConnectErrors?: number;
  /** MySQL's connect_timeout, 10 s unless given. */
  readonly connectTimeout?: Millis;
  /** The address a client counts as. Unless given, the one its socket shows; the lab puts the address of the bastion here. */
  readonly addressOf?: (socket: Socket) => string;
}

export interface MysqlCounters {
  /** Connections accepted since the start. */
  readonly connections: number;
  readonly openConnections: number;
  readonly signIns: number;
  /** Wrong user or password. Does not count towards blocking. */
  readonly refusedSignIns: number;
  /** Handshakes that broke off: a harmful probe shows here. */
  readonly brokenHandshakes: number;
  /** Connections turned away because their address is blocked. */
  readonly blockedConnections: number;
  readonly queries: number;
}

export interface MysqlDatabase extends LabDatabase {
  counters(): MysqlCounters;
  /** Errors that count towards blocking, by address, as they stand. */
  hostErrors(): ReadonlyMap<string, number>;
  /** What FLUSH HOSTS does. */
  flushHosts(): void;
}

const CONNECT_TIMEOUT: Millis = 10_000;
const MAX_CONNECT_ERRORS = 100;

/**
 * The lab's MySQL on a loopback port: the real clients' protocol in front of a small read-only shop (`MysqlEngine`). It checks user
 * and password, and it blocks addresses that break off handshakes, as a real server does, because that is how the lab catches a probe
 * that would harm one. No TLS.
 *
 * @throws CT_LAB_FAILED when the port cannot be had
 */
export async function startMysqlDatabase(world: World, options: MysqlDatabaseOptions = {}): Promise<MysqlDatabase> {
  const engine = new MysqlEngine(world);
  const hostErrors = new HostErrors(options.maxConnectErrors ?? MAX_CONNECT_ERRORS);
  const counters = {
    connections: 0,
    openConnections: 0,
    signIns: 0,
    refusedSignIns: 0,
    brokenHandshakes: 0,
    blockedConnections: 0,
    queries: 0,
  };

  const serve = async (socket: Socket) => {
    counters.connections += 1;
    const id = counters.connections;
    const address = options.addressOf?.(socket) ?? socket.remoteAddress ?? 'unknown';
    const packets = new PacketSocket(socket, world.clock);
    if (hostErrors.isBlocked(address)) {
      counters.blockedConnections += 1;
      return await packets.send(errorPayload(hostBlocked(address), false));
    }
    const scramble = scrambleOf(world);
    const limit = world.clock.after(options.connectTimeout ?? CONNECT_TIMEOUT, () => socket.destroy());
    await packets.send(greetingPayload(SERVER_VERSION, id, scramble));
    // Anything thrown in here (a frame too long, a client that does not wait for its refusal) leaves the handshake unfinished.
    const outcome = await signIn(packets, scramble, options.users ?? LAB_USERS, address)
      .catch(() => ({ kind: 'broken' }) as const)
      .finally(() => limit.cancel());
    countOutcome(outcome, hostErrors, address);
    if (outcome.kind === 'broken') counters.brokenHandshakes += 1;
    if (outcome.kind === 'refused') counters.refusedSignIns += 1;
    if (outcome.kind !== 'signed-in') return;
    counters.signIns += 1;
    const session = { id, user: outcome.user, host: address, database: undefined };
    try {
      if (outcome.database !== undefined) engine.use(session, outcome.database);
    } catch (failure) {
      return await packets.send(errorPayload(failure as Parameters<typeof errorPayload>[0]));
    }
    await packets.send(okPayload());
    const countQuery = () => {
      counters.queries += 1;
    };
    await new MysqlCommands(packets, engine, session, hostErrors, countQuery).serve();
  };

  const server: Server = createServer({ noDelay: true }, (socket) => {
    counters.openConnections += 1;
    socket.on('close', () => {
      counters.openConnections -= 1;
    });
    serve(socket)
      .catch((failure: unknown) => {
        if (!(failure instanceof ClientGone)) world.log.debug(`lab: a MySQL client was dropped: ${String(failure)}`);
      })
      .finally(() => socket.destroySoon());
  });
  return {
    ...(await listenOnLoopback(server, options.port ?? 0, () => engine[Symbol.dispose]())),
    counters: () => ({ ...counters }),
    hostErrors: () => hostErrors.counts(),
    flushHosts: () => hostErrors.flush(),
  };
}

/** 20 printable bytes: a zero would end the scramble for some clients. */
function scrambleOf(world: World): Buffer {
  return Buffer.from(world.random.bytes(20).map((byte) => 0x21 + (byte % 0x5e)));
}

import { setFlagsFromString } from 'node:v8';
import type { PGlite } from '@electric-sql/pglite';
import type { World } from '../../runtime/world.ts';
import { copyFail, query, ReadyWatcher, SYNC } from './postgres-wire.ts';
import { postgresSeed } from './seed.ts';
import { Turns } from './turns.ts';
import type { LabUser } from './users.ts';

/**
 * The one PostgreSQL there is (PGlite: PostgreSQL 18 as WebAssembly, one backend, no processes), shared by all clients.
 *
 * It has a single session, so clients take turns: a turn begins with a client's first message and lasts until PostgreSQL is idle
 * again, which is the end of a simple query, of an extended one (Sync), of a COPY, or of a transaction. **An open transaction keeps
 * everybody else waiting.** Settings and named prepared statements are the session's, hence shared among clients that are connected at
 * the same time; when the last one leaves, all of it is discarded. An answer is computed in one go: a large one is held in memory until
 * its client has read it, and the lab stands still meanwhile.
 *
 * It is loaded when the first client signs in: 2 to 4 s of a processor and about 450 MB. The client just waits.
 */
export class PostgresBackend {
  readonly #world: World;
  readonly #users: readonly LabUser[];
  readonly #turns = new Turns();
  #loading: Promise<PGlite> | undefined;
  #clients = 0;
  /** Who the session acts as; undefined: its superuser. */
  #actingAs: string | undefined;

  constructor(world: World, users: readonly LabUser[]) {
    this.#world = world;
    this.#users = users;
  }

  get isLoaded(): boolean {
    return this.#loading !== undefined;
  }

  /** Loads and fills the database unless that is done. Resolves with its version, `18.6`. */
  async load(): Promise<string> {
    this.#loading ??= this.#create();
    const database = await this.#loading;
    const { rows } = await database.query<{ server_version: string }>('SHOW server_version');
    return rows[0]?.server_version.split(' ', 1)[0] ?? '';
  }

  async close(): Promise<void> {
    const database = await this.#loading?.catch(() => undefined);
    this.#loading = undefined;
    await database?.close();
  }

  /** A signed-in client's seat. */
  seat(user: string): BackendSeat {
    this.#clients += 1;
    return new BackendSeat({
      take: () => this.#turns.take(),
      run: (messages, onData) => this.#run(user, messages, onData),
      leave: () => this.#leave(),
    });
  }

  async #run(
    user: string | undefined,
    messages: readonly Uint8Array[],
    onData: (data: Uint8Array) => void,
  ): Promise<void> {
    const database = await this.#database();
    try {
      if (this.#actingAs !== user) {
        await database.exec(user === undefined ? 'RESET SESSION AUTHORIZATION' : `SET SESSION AUTHORIZATION "${user}"`);
        this.#actingAs = user;
      }
      for (const message of messages) {
        await database.execProtocolRawStream(message, { syncToFs: false, onRawData: onData });
      }
    } catch (failure) {
      // PostgreSQL answers with errors; what is thrown is a crash of the WebAssembly. The next client gets a new one.
      this.#loading = undefined;
      this.#actingAs = undefined;
      throw failure;
    }
  }

  async #leave(): Promise<void> {
    this.#clients -= 1;
    if (this.#clients > 0 || !this.#loading) return;
    const release = await this.#turns.take();
    try {
      // Somebody may have come while we waited.
      if (this.#clients === 0) await this.#run(undefined, [query('DISCARD ALL')], () => {});
    } finally {
      release();
    }
  }

  #database(): Promise<PGlite> {
    this.#loading ??= this.#create();
    return this.#loading;
  }

  async #create(): Promise<PGlite> {
    const start = this.#world.clock.now();
    // The baseline compiler alone: half the time and half the memory (2.2 s and 490 MB instead of 4.4 s and 1 GB, measured), and the
    // queries of a shop with 50 orders do not miss the optimizer. V8 reads it at the next compilation.
    setFlagsFromString('--liftoff-only');
    const { PGlite } = await import('@electric-sql/pglite');
    const database = await PGlite.create();
    await database.exec(postgresSeed());
    for (const { user } of this.#users) {
      const rights = user === 'admin' ? 'ALL' : 'SELECT';
      const tables = `GRANT ${rights} ON ALL TABLES IN SCHEMA public TO "${user}"`;
      await database.exec(`CREATE ROLE "${user}" LOGIN; ${tables}`);
      if (user === 'admin') await database.exec('GRANT CREATE ON SCHEMA public TO admin');
    }
    this.#world.log.debug(`lab: PostgreSQL loaded in ${Math.round(this.#world.clock.now() - start)} ms`);
    return database;
  }
}

interface BackendSeatOwner {
  readonly take: () => Promise<() => void>;
  readonly run: (messages: readonly Uint8Array[], onData: (data: Uint8Array) => void) => Promise<void>;
  readonly leave: () => Promise<void>;
}

/** One client's way to the backend: it holds the turn as long as PostgreSQL is busy with this client. */
export class BackendSeat {
  readonly #owner: BackendSeatOwner;
  readonly #ready = new ReadyWatcher();
  #release: (() => void) | undefined;

  constructor(owner: BackendSeatOwner) {
    this.#owner = owner;
  }

  /**
   * Passes one message on and gives the answer, if there is one yet.
   *
   * @throws when PostgreSQL has crashed; the seat is of no use after that
   */
  async send(message: Buffer): Promise<Buffer> {
    // The rest of a COPY that has failed: PostgreSQL would ignore it without an answer, and the turn would never end.
    if (!this.#release && COPY_MESSAGES.includes(message[0]!)) return Buffer.alloc(0);
    this.#release ??= await this.#owner.take();
    const answer: Buffer[] = [];
    try {
      // Copied: what PGlite hands out is a view into its memory.
      await this.#owner.run([withoutCopyIn(message)], (data) => answer.push(Buffer.from(data)));
    } catch (failure) {
      this.#endTurn();
      throw failure;
    }
    const bytes = Buffer.concat(answer);
    this.#ready.receive(bytes);
    if (bytes.length > 0 && this.#ready.status === 'I') this.#endTurn();
    return bytes;
  }

  /** The client is gone: brings the session back to idle, whatever it was in the middle of, and gives up the seat. */
  async leave(): Promise<void> {
    try {
      if (this.#release) {
        const messages = [copyFail('the client is gone'), SYNC, query('ROLLBACK')];
        await this.#owner.run(messages, () => {});
      }
    } finally {
      this.#endTurn();
      await this.#owner.leave();
    }
  }

  #endTurn(): void {
    this.#release?.();
    this.#release = undefined;
  }
}

/** CopyData, CopyDone, CopyFail. */
const COPY_MESSAGES: readonly number[] = [0x64, 0x63, 0x66];

/**
 * COPY … FROM STDIN would crash PGlite, which has no way to wait for more messages in the middle of a query. What is sent in its place
 * fails in the regular way, inside a transaction too.
 */
function withoutCopyIn(message: Buffer): Buffer {
  if (message[0] !== 0x51 /* Q */ || !/\bcopy\b[^;]*\bfrom\s+stdin\b/i.test(message.toString('utf8', 5)))
    return message;
  return query(`DO $$ BEGIN RAISE feature_not_supported USING MESSAGE = 'the lab has no COPY FROM STDIN'; END $$`);
}

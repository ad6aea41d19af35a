import { CloudtunError } from '../domain/errors.ts';
import type { World } from '../runtime/world.ts';
import type { LabBackend } from './aws/inventory.ts';
import type { LoopbackAddress } from './aws/network.ts';

/** A database server in this process, listening on loopback. */
export interface DatabaseServer extends AsyncDisposable, LoopbackAddress {}

export type DatabaseStarters = Readonly<Record<LabBackend, () => Promise<DatabaseServer>>>;

/**
 * The database servers behind the practice cloud's names: embedded ones, started on first use and kept until the lab ends, or real
 * ones that somebody runs elsewhere on loopback.
 */
export class LabDatabases implements AsyncDisposable {
  readonly #starters: DatabaseStarters;
  readonly #elsewhere: Readonly<Partial<Record<LabBackend, LoopbackAddress>>>;
  readonly #started = new Map<LabBackend, Promise<DatabaseServer>>();

  constructor(starters: DatabaseStarters, elsewhere: Readonly<Partial<Record<LabBackend, LoopbackAddress>>>) {
    this.#starters = starters;
    this.#elsewhere = elsewhere;
  }

  async address(backend: LabBackend): Promise<LoopbackAddress> {
    const elsewhere = this.#elsewhere[backend];
    if (elsewhere !== undefined) return elsewhere;
    let server = this.#started.get(backend);
    if (server === undefined) {
      server = this.#starters[backend]();
      this.#started.set(backend, server);
      // One that failed may be tried again by the next session.
      server.catch(() => this.#started.delete(backend));
    }
    const { host, port } = await server;
    return { host, port };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const servers = await Promise.allSettled(this.#started.values());
    this.#started.clear();
    for (const server of servers) if (server.status === 'fulfilled') await server.value[Symbol.asyncDispose]();
  }
}

export function databaseStarters(_world: World): DatabaseStarters {
  const missing = async () => {
    throw new CloudtunError('CT_LAB_FAILED', 'the embedded databases are not there');
  };
  return { prod: missing, orders: missing };
}

import type { World } from '../runtime/world.ts';
import type { MysqlDatabase } from './databases/mysql-front.ts';
import type { PostgresDatabase } from './databases/postgres-front.ts';
import type { LabBackend, LoopbackAddress } from './loopback-services.ts';

/**
 * The database servers behind the practice cloud's names: embedded ones, started on first use and kept until the lab ends, or real
 * ones that somebody runs elsewhere on loopback.
 */
export class LabDatabases implements AsyncDisposable {
  readonly #world: World;
  readonly #elsewhere: Readonly<Partial<Record<LabBackend, LoopbackAddress>>>;
  readonly #tokenLogin: (token: string) => string | undefined;
  #prod: Promise<MysqlDatabase> | undefined;
  #orders: Promise<PostgresDatabase> | undefined;

  /** @param tokenLogin the user whom a token lets in; undefined: nobody */
  constructor(
    world: World,
    elsewhere: Readonly<Partial<Record<LabBackend, LoopbackAddress>>> = {},
    tokenLogin: (token: string) => string | undefined = () => undefined,
  ) {
    this.#tokenLogin = tokenLogin;
    this.#world = world;
    this.#elsewhere = elsewhere;
  }

  /** Where connections to a backend go; starts the embedded server if that is meant. @throws CT_LAB_FAILED */
  async address(backend: LabBackend): Promise<LoopbackAddress> {
    const elsewhere = this.#elsewhere[backend];
    if (elsewhere !== undefined) return elsewhere;
    const server = await (backend === 'prod' ? this.mysql() : this.postgres());
    return server.address;
  }

  /** The embedded MySQL, started if need be. Its modules are loaded only now. */
  mysql(): Promise<MysqlDatabase> {
    this.#prod ??= import('./databases/mysql-front.ts').then(({ startMysqlDatabase }) =>
      startMysqlDatabase(this.#world),
    );
    return this.#prod;
  }

  /** The embedded PostgreSQL, started if need be. */
  postgres(): Promise<PostgresDatabase> {
    this.#orders ??= import('./databases/postgres-front.ts').then(({ startPostgresDatabase }) =>
      startPostgresDatabase(this.#world, { tokenLogin: this.#tokenLogin }),
    );
    return this.#orders;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const servers = await Promise.allSettled([this.#prod, this.#orders]);
    for (const server of servers) if (server.status === 'fulfilled') await server.value?.[Symbol.asyncDispose]();
  }
}

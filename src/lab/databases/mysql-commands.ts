import type { SQLInputValue } from 'node:sqlite';
import type { HostErrors } from './host-errors.ts';
import type { EngineSession, MysqlEngine } from './mysql-engine.ts';
import { readParameters } from './mysql-parameters.ts';
import { MysqlError, type MysqlResult, mysqlColumn } from './mysql-result.ts';
import {
  binaryRowPayload,
  columnCountPayload,
  columnPayload,
  eofPayload,
  errorPayload,
  okPayload,
  preparedPayload,
  textRowPayload,
} from './mysql-wire.ts';
import { ClientGone, type PacketSocket } from './packet-socket.ts';

interface Prepared {
  readonly sql: string;
  readonly parameterCount: number;
  types: readonly number[];
}

/** Prepared statements of one connection. MySQL has 16,382 for all; ours is per connection, guessed. */
const MAX_PREPARED = 1_000;
const NULL_DEFAULT = Buffer.of(0xfb);
const PARAMETER = mysqlColumn({ name: '?', schema: '', table: '', originalName: '' }, null, undefined);

/** Serves the commands of one signed-in client until it goes. */
export class MysqlCommands {
  readonly #packets: PacketSocket;
  readonly #engine: MysqlEngine;
  readonly #session: EngineSession;
  readonly #hostErrors: HostErrors;
  readonly #countQuery: () => void;
  readonly #prepared = new Map<number, Prepared>();
  #lastPrepared = 0;

  constructor(
    packets: PacketSocket,
    engine: MysqlEngine,
    session: EngineSession,
    hostErrors: HostErrors,
    countQuery: () => void,
  ) {
    this.#packets = packets;
    this.#engine = engine;
    this.#session = session;
    this.#hostErrors = hostErrors;
    this.#countQuery = countQuery;
  }

  async serve(): Promise<void> {
    for (;;) {
      const command = await this.#packets.next();
      if (!command || command[0] === 0x01 /* COM_QUIT */) return;
      try {
        await this.#run(command);
      } catch (failure) {
        if (failure instanceof ClientGone) return;
        await this.#packets.send(errorPayload(asMysqlError(failure)));
      }
    }
  }

  async #run(command: Buffer): Promise<void> {
    const text = command.toString('utf8', 1);
    switch (command[0]) {
      case 0x02: // COM_INIT_DB
        this.#engine.use(this.#session, text);
        return await this.#packets.send(okPayload());
      case 0x03: // COM_QUERY
        return await this.#query(text);
      case 0x04: // COM_FIELD_LIST, which the command line clients ask for to complete names
        return await this.#fieldList(text.split('\0', 1)[0] ?? '');
      case 0x09: // COM_STATISTICS
        return await this.#packets.send(Buffer.from('cloudtun lab'));
      case 0x0e: // COM_PING
        return await this.#packets.send(okPayload());
      case 0x16: // COM_STMT_PREPARE
        return await this.#prepare(text);
      case 0x17: // COM_STMT_EXECUTE
        return await this.#execute(command);
      case 0x19: // COM_STMT_CLOSE has no answer
        if (command.length >= 5) this.#prepared.delete(command.readUInt32LE(1));
        return;
      case 0x1a: // COM_STMT_RESET
        return await this.#packets.send(okPayload());
      case 0x1b: // COM_SET_OPTION
        return await this.#packets.send(eofPayload());
      case 0x1f: // COM_RESET_CONNECTION
        this.#prepared.clear();
        return await this.#packets.send(okPayload());
      default:
        throw new MysqlError(1047, '08S01', 'Unknown command');
    }
  }

  async #query(text: string): Promise<void> {
    this.#countQuery();
    if (/^\s*flush\s+hosts\s*;?\s*$/i.test(text)) this.#flushHosts();
    await this.#answer(this.#engine.execute(this.#session, text), textRowPayload);
  }

  #flushHosts(): void {
    if (this.#session.user !== 'admin') {
      const needed = 'Access denied; you need (at least one of) the RELOAD privilege(s) for this operation';
      throw new MysqlError(1227, '42000', `${needed}; the lab's admin has it`);
    }
    this.#hostErrors.flush();
  }

  async #answer(result: MysqlResult, rowPayload: typeof textRowPayload): Promise<void> {
    if (result.kind === 'ok') return await this.#packets.send(okPayload());
    this.#packets.put(columnCountPayload(result.columns.length));
    for (const column of result.columns) this.#packets.put(columnPayload(column));
    this.#packets.put(eofPayload());
    for (const row of result.rows) await this.#packets.putMany(rowPayload(row, result.columns));
    await this.#packets.send(eofPayload());
  }

  async #fieldList(table: string): Promise<void> {
    const result = this.#engine.execute(this.#session, `SELECT * FROM \`${table.replaceAll('`', '')}\` LIMIT 0`);
    const columns = result.kind === 'rows' ? result.columns : [];
    for (const column of columns) this.#packets.put(Buffer.concat([columnPayload(column), NULL_DEFAULT]));
    await this.#packets.send(eofPayload());
  }

  async #prepare(sql: string): Promise<void> {
    if (this.#prepared.size >= MAX_PREPARED) {
      const limit = `max_prepared_stmt_count statements (current value: ${MAX_PREPARED})`;
      throw new MysqlError(1461, '42000', `Can't create more than ${limit}`);
    }
    const parameterCount = this.#engine.parameterCount(sql);
    // Run once to learn the columns; nothing here writes. With ones, because LIMIT takes no NULL.
    const columns = this.#columnsOf(
      sql,
      Array.from({ length: parameterCount }, () => 1n),
    );
    this.#lastPrepared += 1;
    this.#prepared.set(this.#lastPrepared, { sql, parameterCount, types: [] });
    this.#packets.put(preparedPayload(this.#lastPrepared, columns.length, parameterCount));
    for (let index = 0; index < parameterCount; index += 1) this.#packets.put(columnPayload(PARAMETER));
    if (parameterCount > 0) this.#packets.put(eofPayload());
    for (const column of columns) this.#packets.put(columnPayload(column));
    if (columns.length > 0) this.#packets.put(eofPayload());
    await this.#packets.flush();
  }

  #columnsOf(sql: string, parameters: readonly SQLInputValue[]) {
    const session = { ...this.#session };
    const result = this.#engine.execute(session, sql, parameters);
    if (result.kind === 'ok') return [];
    result.rows[Symbol.iterator]().return?.();
    return result.columns;
  }

  async #execute(command: Buffer): Promise<void> {
    const id = command.length >= 10 ? command.readUInt32LE(1) : 0;
    const prepared = this.#prepared.get(id);
    if (!prepared) {
      throw new MysqlError(1243, 'HY000', `Unknown prepared statement handler (${id}) given to mysqld_stmt_execute`);
    }
    this.#countQuery();
    const { values, types } = readParameters(command, prepared.parameterCount, prepared.types);
    prepared.types = types;
    await this.#answer(this.#engine.execute(this.#session, prepared.sql, values), binaryRowPayload);
  }
}

function asMysqlError(failure: unknown): MysqlError {
  if (failure instanceof MysqlError) return failure;
  return new MysqlError(
    1105,
    'HY000',
    `the lab failed: ${failure instanceof Error ? failure.message : String(failure)}`,
  );
}

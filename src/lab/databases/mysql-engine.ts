import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { loadSqlite } from '../../runtime/sqlite.ts';
import type { World } from '../../runtime/world.ts';
import { informationSchemaSql, SYSTEM_VARIABLES } from './mysql-catalog.ts';
import { addMysqlFunctions, type SessionFacts } from './mysql-functions.ts';
import {
  type MysqlColumn,
  MysqlError,
  type MysqlResult,
  mysqlColumn,
  type SqlValue,
  syntaxError,
} from './mysql-result.ts';
import { rewriteShow } from './mysql-show.ts';
import { type CleanSql, cleanSql } from './mysql-text.ts';
import { SEED_DATABASE, sqliteSeed } from './seed.ts';

/** State of one connection that statements read and change. */
export interface EngineSession {
  readonly id: number;
  readonly user: string;
  /** Address the client is seen from. */
  readonly host: string;
  database: string | undefined;
}

/** Statements that change a session or a server that has nothing to change, and are answered with OK. */
const ACCEPTED =
  /^(?:set|begin|start\s+transaction|commit|rollback|savepoint|release\s+savepoint|(?:un)?lock\s+tables?|flush|do|kill\s+query)\b/i;
const READING = /^(?:select|with|values|\()/i;
const WRITING =
  /^(?:insert|update|delete|replace|create|drop|alter|truncate|rename|grant|revoke|load|call|optimize|analyze|repair)\b/i;

/**
 * The SQL behind the lab's MySQL: SQLite in memory, read-only after it was filled, dressed as a MySQL for the statements people and
 * their tools use to read. It is for practice with tunnels: no transactions, no writes, one query at a time for everybody, and a query
 * that computes for long holds the whole lab up meanwhile.
 */
export class MysqlEngine implements Disposable {
  readonly #database: DatabaseSync;
  /** Whose statement SQLite is working on; its functions ask. */
  #facts: SessionFacts = { id: 0, user: '', database: undefined };

  constructor(world: World) {
    const { DatabaseSync } = loadSqlite();
    this.#database = new DatabaseSync(':memory:');
    this.#database.exec(`ATTACH ':memory:' AS ${SEED_DATABASE}; ATTACH ':memory:' AS information_schema;`);
    this.#database.exec(`${sqliteSeed()}${informationSchemaSql()}`);
    this.#database.exec('PRAGMA query_only = ON');
    addMysqlFunctions(this.#database, world, () => this.#facts);
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  /** @throws MysqlError 1049 when there is no such database */
  use(session: EngineSession, database: string): void {
    const known = this.#database
      .prepare('SELECT 1 FROM information_schema.schemata WHERE schema_name = ?')
      .get(database);
    if (!known) {
      throw new MysqlError(1049, '42000', `Unknown database '${database}'; the lab has ${SEED_DATABASE}`);
    }
    session.database = database;
  }

  /** Number of `?` in a statement. @throws MysqlError when it cannot be read */
  parameterCount(text: string): number {
    return cleanSql(text).parameterCount;
  }

  /**
   * Runs one statement. Rows are computed while they are taken, so that a large result needs no memory.
   *
   * @throws MysqlError, also from the rows
   */
  execute(session: EngineSession, text: string, parameters: readonly SQLInputValue[] = []): MysqlResult {
    const clean = cleanSql(text);
    const { sql } = clean;
    if (sql === '') throw new MysqlError(1065, '42000', 'Query was empty');
    const used = /^use\s+(?:`([^`]+)`|([\w$]+))$/i.exec(sql);
    if (used) {
      this.use(session, used[1] ?? used[2] ?? '');
      return { kind: 'ok' };
    }
    if (ACCEPTED.test(sql)) return { kind: 'ok' };
    if (WRITING.test(sql)) throw readOnly();
    const shown = rewriteShow(sql, session.database);
    if (shown) return this.#select(session, { ...clean, sql: shown.sql }, shown.values);
    if (/^explain\s/i.test(sql)) {
      return this.#select(
        session,
        { ...clean, sql: sql.replace(/^explain(?:\s+analyze)?/i, 'EXPLAIN QUERY PLAN') },
        parameters,
      );
    }
    if (!READING.test(sql)) throw syntaxError(sql);
    const select = sql
      .replace(/\s+(?:for\s+(?:update|share)|lock\s+in\s+share\s+mode)$/i, '')
      .replace(/\s+from\s+dual\b/i, ' ');
    return this.#select(session, { ...clean, sql: select }, parameters);
  }

  #select(session: EngineSession, clean: CleanSql, parameters: readonly SQLInputValue[]): MysqlResult {
    this.#attend(session);
    try {
      const statement = this.#database.prepare(clean.sql);
      statement.setReadBigInts(true);
      statement.setReturnArrays(true);
      const iterator = statement.iterate(variableValues(clean), ...parameters) as unknown as Iterator<SqlValue[]>;
      const first = iterator.next();
      const columns = columnsOf(statement, clean, first.done ? undefined : first.value);
      return { kind: 'rows', columns, rows: this.#rows(session, iterator, first) };
    } catch (failure) {
      throw mysqlErrorOf(failure, session, clean);
    }
  }

  *#rows(
    session: EngineSession,
    iterator: Iterator<SqlValue[]>,
    first: IteratorResult<SqlValue[]>,
  ): Iterable<SqlValue[]> {
    try {
      for (let row = first; !row.done; row = iterator.next()) {
        yield row.value;
        this.#attend(session);
      }
    } catch (failure) {
      throw mysqlErrorOf(failure, session);
    } finally {
      iterator.return?.();
    }
  }

  #attend(session: EngineSession): void {
    this.#facts = { id: session.id, user: `${session.user}@${session.host}`, database: session.database };
  }
}

function readOnly(): MysqlError {
  return new MysqlError(
    1290,
    'HY000',
    'The MySQL server is running with the --read-only option so it cannot execute this statement (the lab is for reading)',
  );
}

/** The values of the variables in a statement: `@@name` of the system, `@name` of the user, whom we remember none of. */
function variableValues({ variables }: CleanSql): Record<string, SQLInputValue> {
  return Object.fromEntries(
    [...variables].map(([parameter, variable]) => {
      if (!variable.startsWith('@@')) return [parameter, null];
      const name = variable.replace(/^@@(?:(?:global|session|local)\.)?/i, '').toLowerCase();
      const value = SYSTEM_VARIABLES[name];
      if (value === undefined) throw new MysqlError(1193, 'HY000', `Unknown system variable '${name}'`);
      return [parameter, typeof value === 'number' ? BigInt(value) : value];
    }),
  );
}

function columnsOf(statement: StatementSync, clean: CleanSql, sample: readonly SqlValue[] | undefined): MysqlColumn[] {
  return statement.columns().map(({ name, column, table, database, type }, index) => {
    const shown = name.replace(/\$v\d+/g, (parameter) => clean.variables.get(parameter) ?? parameter);
    const origin = { name: shown, schema: database ?? '', table: table ?? '', originalName: column ?? '' };
    return mysqlColumn(origin, type, sample?.[index]);
  });
}

/** SQLite's complaint in MySQL's words. Its texts are all it tells apart by: every one of them has the same code. */
function mysqlErrorOf(failure: unknown, session: EngineSession, clean?: CleanSql): Error {
  if (failure instanceof MysqlError || !(failure instanceof Error)) return failure as MysqlError;
  const { message } = failure;
  const database = session.database ?? SEED_DATABASE;
  const found = (pattern: RegExp) => pattern.exec(message)?.[1];
  const table = found(/^no such table: (.+)$/);
  if (table) {
    return new MysqlError(
      1146,
      '42S02',
      `Table '${table.includes('.') ? table : `${database}.${table}`}' doesn't exist`,
    );
  }
  const column = found(/^no such column: ([^\s]+)/);
  if (column) return new MysqlError(1054, '42S22', `Unknown column '${column}' in 'field list'`);
  const ambiguous = found(/^ambiguous column name: (.+)$/);
  if (ambiguous) return new MysqlError(1052, '23000', `Column '${ambiguous}' in field list is ambiguous`);
  const unknown = found(/^no such function: (.+)$/);
  if (unknown) return new MysqlError(1305, '42000', `FUNCTION ${database}.${unknown} does not exist in the lab`);
  if (/readonly database/.test(message)) return readOnly();
  const near = found(/^near "(.*)": syntax error$/s);
  if (near !== undefined || message === 'incomplete input') return syntaxError(near ?? clean?.sql ?? '');
  return new MysqlError(1105, 'HY000', `${message} (the lab speaks the reading part of MySQL's SQL)`);
}

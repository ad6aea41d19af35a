import { mysqlCreateTable, SEED_DATABASE, SEED_TABLES, type SeedColumn } from './seed.ts';

/** The MySQL the lab claims to be. */
export const SERVER_VERSION = '8.0.36';

/** What a MySQL server tells of itself: system variables, and the tables of information_schema that clients ask for. */
export const SYSTEM_VARIABLES: Readonly<Record<string, string | number>> = {
  autocommit: 1,
  auto_increment_increment: 1,
  basedir: '/usr/',
  character_set_client: 'utf8mb4',
  character_set_connection: 'utf8mb4',
  character_set_database: 'utf8mb4',
  character_set_results: 'utf8mb4',
  character_set_server: 'utf8mb4',
  character_set_system: 'utf8mb3',
  collation_connection: 'utf8mb4_0900_ai_ci',
  collation_database: 'utf8mb4_0900_ai_ci',
  collation_server: 'utf8mb4_0900_ai_ci',
  gtid_mode: 'OFF',
  have_ssl: 'DISABLED',
  hostname: 'orders-prod',
  init_connect: '',
  interactive_timeout: 28_800,
  license: 'GPL',
  lower_case_table_names: 0,
  max_allowed_packet: 1_048_576,
  max_connections: 151,
  net_buffer_length: 16_384,
  net_write_timeout: 60,
  performance_schema: 0,
  port: 3306,
  protocol_version: 10,
  read_only: 1,
  sql_mode: 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO',
  sql_quote_show_create: 1,
  system_time_zone: 'UTC',
  time_zone: 'SYSTEM',
  transaction_isolation: 'REPEATABLE-READ',
  transaction_read_only: 0,
  tx_isolation: 'REPEATABLE-READ',
  version: SERVER_VERSION,
  version_comment: 'cloudtun lab',
  version_compile_os: 'Linux',
  wait_timeout: 28_800,
};

const INFORMATION_TABLES = {
  schemata: 'catalog_name, schema_name, default_character_set_name, default_collation_name, sql_path',
  tables:
    'table_catalog, table_schema, table_name, table_type, engine, version, row_format, table_rows, avg_row_length, data_length, max_data_length, index_length, data_free, auto_increment, create_time, update_time, check_time, table_collation, checksum, create_options, table_comment',
  columns:
    'table_catalog, table_schema, table_name, column_name, ordinal_position, column_default, is_nullable, data_type, character_maximum_length, numeric_precision, numeric_scale, character_set_name, collation_name, column_type, column_key, extra, privileges, column_comment, generation_expression',
  statistics:
    'table_catalog, table_schema, table_name, non_unique, index_schema, index_name, seq_in_index, column_name, collation, cardinality, sub_part, packed, nullable, index_type, comment, index_comment',
  key_column_usage:
    'constraint_catalog, constraint_schema, constraint_name, table_catalog, table_schema, table_name, column_name, ordinal_position, position_in_unique_constraint, referenced_table_schema, referenced_table_name, referenced_column_name',
  files:
    'file_id, file_name, file_type, tablespace_name, logfile_group_name, engine, extent_size, initial_size, extra, total_extents',
  routines:
    'routine_schema, routine_name, routine_type, created, last_altered, definer, security_type, routine_comment',
  triggers: 'trigger_schema, trigger_name, event_object_schema, event_object_table, action_statement',
  events: 'event_schema, event_name, definer, event_definition',
  views: 'table_schema, table_name, view_definition, definer, security_type',
  partitions: 'table_schema, table_name, partition_name',
  column_statistics: 'schema_name, table_name, column_name, histogram',
  engines: 'engine, support, comment, transactions, xa, savepoints',
} as const;

type Cell = string | number | null;
const COLLATION = 'utf8mb4_0900_ai_ci';

function columnRow(table: string, { name, type, key }: SeedColumn, index: number): Cell[] {
  const [, base = type, size, scale] = /^(\w+)(?:\((\d+)(?:,(\d+))?\))?/.exec(type) ?? [];
  const isText = base.endsWith('char');
  const number = (digits: string | undefined) => (digits === undefined ? null : Number(digits));
  return [
    ...['def', SEED_DATABASE, table, name, index + 1, null, 'NO', base],
    ...[isText ? number(size) : null, isText ? null : number(size), isText ? null : number(scale)],
    ...[isText ? 'utf8mb4' : null, isText ? COLLATION : null, type, key ?? '', '', 'select', '', ''],
  ];
}

function informationRows(): Partial<Record<keyof typeof INFORMATION_TABLES, Cell[][]>> {
  const created = '2026-01-05 08:00:00';
  const keys = SEED_TABLES.flatMap((table) =>
    table.columns.filter(({ key }) => key).map((column) => ({ table: table.name, ...column })),
  );
  return {
    schemata: ['information_schema', SEED_DATABASE].map((name) => ['def', name, 'utf8mb4', COLLATION, null]),
    tables: SEED_TABLES.map(({ name, comment, rows }) => [
      ...['def', SEED_DATABASE, name, 'BASE TABLE', 'InnoDB', 10, 'Dynamic', rows.length, 0, 16_384, 0, 0, 0],
      ...[null, created, null, null, COLLATION, null, '', comment],
    ]),
    columns: SEED_TABLES.flatMap(({ name, columns }) => columns.map((column, index) => columnRow(name, column, index))),
    statistics: keys.map(({ table, name, key }) => [
      ...['def', SEED_DATABASE, table, key === 'MUL' ? 1 : 0, SEED_DATABASE, key === 'PRI' ? 'PRIMARY' : name, 1, name],
      ...['A', null, null, null, '', 'BTREE', '', ''],
    ]),
    key_column_usage: keys
      .filter(({ key }) => key !== 'MUL')
      .map(({ table, name, key }) => [
        ...['def', SEED_DATABASE, key === 'PRI' ? 'PRIMARY' : name, 'def', SEED_DATABASE, table, name, 1],
        ...[null, null, null, null],
      ]),
    engines: [['InnoDB', 'DEFAULT', 'pretended by the cloudtun lab', 'YES', 'YES', 'YES']],
  };
}

const literal = (cell: Cell) =>
  cell === null ? 'NULL' : typeof cell === 'number' ? String(cell) : `'${cell.replaceAll("'", "''")}'`;

/** information_schema as SQLite tables, in an attached schema of that name. */
export function informationSchemaSql(): string {
  const rows = informationRows();
  return Object.entries(INFORMATION_TABLES)
    .map(([table, columns]) => {
      const into = `information_schema.${table}`;
      const values = (rows[table as keyof typeof INFORMATION_TABLES] ?? [])
        .map((row) => `INSERT INTO ${into} VALUES (${row.map(literal).join(', ')});`)
        .join('\n');
      return `CREATE TABLE ${into} (${columns});\n${values}`;
    })
    .join('\n');
}

/** SHOW CREATE TABLE of each table, by its name. */
export const CREATE_TABLES: ReadonlyMap<string, string> = new Map(
  SEED_TABLES.map((table) => [table.name, mysqlCreateTable(table)]),
);

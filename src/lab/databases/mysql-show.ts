import { CREATE_TABLES, SYSTEM_VARIABLES } from './mysql-catalog.ts';
import { MysqlError } from './mysql-result.ts';
import { SEED_DATABASE } from './seed.ts';

/** A statement of MySQL's own as a SELECT that SQLite answers. */
export interface Rewritten {
  readonly sql: string;
  readonly values: readonly (string | number | null)[];
}

type Rewrite = (groups: Readonly<Record<string, string | undefined>>, database: string | undefined) => Rewritten;

const unquoted = (name: string) => name.replace(/^`(.*)`$/, '$1');
const NAME = '(?:`[^`]+`|[\\w$]+)';
const IN = `(?:\\s+(?:from|in)\\s+(?<database>${NAME}))?`;
const LIKE = `(?:\\s+like\\s+(?<like>'(?:[^']|'')*'))?`;

/** The pattern of a LIKE clause, or one that fits everything. */
const pattern = (like: string | undefined) => (like === undefined ? '%' : like.slice(1, -1).replaceAll("''", "'"));
const rows = (sql: string, ...values: readonly (string | number | null)[]): Rewritten => ({ sql, values });
/** A result that has these columns and no row. */
const empty =
  (...columns: readonly string[]) =>
  () =>
    rows(`SELECT ${columns.map((column) => `NULL AS "${column}"`).join(', ')} WHERE 0`);

function schemaOf(named: string | undefined, current: string | undefined): string {
  const schema = named === undefined ? current : unquoted(named);
  if (schema === undefined) throw new MysqlError(1046, '3D000', 'No database selected');
  return schema;
}

/** `orders.customers`, `` `customers` ``: schema and table; the table must be one of ours. */
function tableOf(groups: Readonly<Record<string, string | undefined>>, current: string | undefined) {
  const schema = schemaOf(groups.database ?? groups.qualifier?.slice(0, -1), current);
  const table = unquoted(groups.table ?? '');
  if (schema !== SEED_DATABASE || !CREATE_TABLES.has(table)) {
    throw new MysqlError(1146, '42S02', `Table '${schema}.${table}' doesn't exist`);
  }
  return { schema, table };
}

const TABLE = `(?<qualifier>${NAME}\\.)?(?<table>${NAME})`;

const columnsOf: Rewrite = (groups, current) => {
  const { schema, table } = tableOf(groups, current);
  const [beforeKey, afterExtra] = groups.full
    ? ['collation_name AS "Collation", ', ', privileges AS "Privileges", column_comment AS "Comment"']
    : ['', ''];
  return rows(
    `SELECT column_name AS "Field", column_type AS "Type", ${beforeKey}is_nullable AS "Null", column_key AS "Key",
       column_default AS "Default", extra AS "Extra"${afterExtra}
     FROM information_schema.columns WHERE table_schema = ? AND table_name = ? AND column_name LIKE ?
     ORDER BY ordinal_position`,
    schema,
    table,
    pattern(groups.like),
  );
};

function variablesLike({ like, name }: Readonly<Record<string, string | undefined>>): Rewritten {
  const values = Object.entries(SYSTEM_VARIABLES)
    .map(([variable, value]) => `('${variable}', '${String(value).replaceAll("'", "''")}')`)
    .join(', ');
  return rows(
    `SELECT column1 AS "Variable_name", column2 AS "Value" FROM (VALUES ${values}) WHERE column1 LIKE ? ORDER BY column1`,
    pattern(like ?? name),
  );
}

const STATEMENTS: readonly (readonly [form: string, rewrite: Rewrite])[] = [
  [
    `show\\s+(?:databases|schemas)${LIKE}`,
    ({ like }) =>
      rows(`SELECT schema_name AS "Database" FROM information_schema.schemata WHERE schema_name LIKE ?`, pattern(like)),
  ],
  [
    `show\\s+(?<full>full\\s+)?tables${IN}${LIKE}`,
    ({ full, database, like }, current) => {
      const schema = schemaOf(database, current);
      const type = full ? ', table_type AS "Table_type"' : '';
      return rows(
        `SELECT table_name AS "Tables_in_${schema.replaceAll('"', '')}"${type} FROM information_schema.tables
         WHERE table_schema = ? AND table_name LIKE ? ORDER BY table_name`,
        schema,
        pattern(like),
      );
    },
  ],
  [
    `show\\s+table\\s+status${IN}${LIKE}`,
    ({ database, like }, current) =>
      rows(
        `SELECT table_name AS "Name", engine AS "Engine", version AS "Version", row_format AS "Row_format", table_rows AS "Rows",
           avg_row_length AS "Avg_row_length", data_length AS "Data_length", max_data_length AS "Max_data_length",
           index_length AS "Index_length", data_free AS "Data_free", auto_increment AS "Auto_increment",
           create_time AS "Create_time", update_time AS "Update_time", check_time AS "Check_time",
           table_collation AS "Collation", checksum AS "Checksum", create_options AS "Create_options", table_comment AS "Comment"
         FROM information_schema.tables WHERE table_schema = ? AND table_name LIKE ?`,
        schemaOf(database, current),
        pattern(like),
      ),
  ],
  [`show\\s+(?<full>full\\s+)?(?:columns|fields)\\s+(?:from|in)\\s+${TABLE}${IN}${LIKE}`, columnsOf],
  [`(?:describe|desc|explain)\\s+${TABLE}`, columnsOf],
  [
    `show\\s+create\\s+table\\s+${TABLE}`,
    (groups, current) => {
      const { table } = tableOf(groups, current);
      return rows('SELECT ? AS "Table", ? AS "Create Table"', table, CREATE_TABLES.get(table) ?? null);
    },
  ],
  [
    `show\\s+create\\s+(?:database|schema)\\s+(?:if\\s+not\\s+exists\\s+)?(?<database>${NAME})`,
    ({ database }, current) => {
      const schema = schemaOf(database, current);
      const sql = `CREATE DATABASE \`${schema}\` /*!40100 DEFAULT CHARACTER SET utf8mb4 */`;
      return rows('SELECT ? AS "Database", ? AS "Create Database"', schema, sql);
    },
  ],
  [
    `show\\s+(?:index|indexes|keys)\\s+(?:from|in)\\s+${TABLE}${IN}`,
    (groups, current) => {
      const { schema, table } = tableOf(groups, current);
      return rows(
        `SELECT table_name AS "Table", non_unique AS "Non_unique", index_name AS "Key_name", seq_in_index AS "Seq_in_index",
           column_name AS "Column_name", collation AS "Collation", index_type AS "Index_type"
         FROM information_schema.statistics WHERE table_schema = ? AND table_name = ?`,
        schema,
        table,
      );
    },
  ],
  [`show\\s+(?:global\\s+|session\\s+|local\\s+)?variables${LIKE}`, (groups) => variablesLike(groups)],
  [
    `show\\s+(?:global\\s+|session\\s+)?variables\\s+where\\s+variable_name\\s*(?:=|like)\\s*(?<name>'(?:[^']|'')*')`,
    (groups) => variablesLike(groups),
  ],
  [
    `show\\s+engines`,
    () => rows(`SELECT engine AS "Engine", support AS "Support", comment AS "Comment" FROM information_schema.engines`),
  ],
  [
    `show\\s+grants(?:\\s+for\\s+.+)?`,
    () => rows(`SELECT 'GRANT SELECT ON \`${SEED_DATABASE}\`.* TO ' || current_user() AS "Grants"`),
  ],
  [
    `show\\s+(?:full\\s+)?processlist`,
    () =>
      rows(
        `SELECT connection_id() AS "Id", user() AS "User", database() AS "db", 'Query' AS "Command", 0 AS "Time", '' AS "State"`,
      ),
  ],
  [`show\\s+(?:warnings|errors)(?:\\s+limit\\s+.+)?`, empty('Level', 'Code', 'Message')],
  [`show\\s+(?:global\\s+|session\\s+)?status${LIKE}`, empty('Variable_name', 'Value')],
  [`show\\s+(?:function|procedure)\\s+status.*`, empty('Db', 'Name', 'Type')],
  [`show\\s+(?:triggers|events).*`, empty('Name')],
  [
    `show\\s+(?:collation|character\\s+set|charset|plugins|privileges|open\\s+tables|master\\s+status|binary\\s+logs).*`,
    empty('Name'),
  ],
];

const COMPILED = STATEMENTS.map(([form, rewrite]) => [new RegExp(`^${form}$`, 'is'), rewrite] as const);

/** SHOW and DESCRIBE as SELECTs; undefined for every other statement. */
export function rewriteShow(sql: string, database: string | undefined): Rewritten | undefined {
  for (const [form, rewrite] of COMPILED) {
    const groups = form.exec(sql)?.groups ?? (form.test(sql) ? {} : undefined);
    if (groups) return rewrite(groups, database);
  }
  return undefined;
}

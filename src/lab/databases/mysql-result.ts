/** A failed statement as MySQL words it: error number, SQL state, text. */
export class MysqlError extends Error {
  override readonly name = 'MysqlError';
  readonly number: number;
  readonly sqlState: string;

  constructor(number: number, sqlState: string, message: string) {
    super(message);
    this.number = number;
    this.sqlState = sqlState;
  }
}

/** 1064, with the place in MySQL's own words. */
export function syntaxError(near: string): MysqlError {
  return new MysqlError(
    1064,
    '42000',
    `You have an error in your SQL syntax near '${near.slice(0, 80)}' (the lab speaks the reading part of MySQL's SQL)`,
  );
}

export type SqlValue = null | bigint | number | string | Uint8Array;

/** Type bytes of the protocol, those that occur here (MySQL internals manual, "Protocol::ColumnType"). */
export const MysqlType = {
  long: 0x03,
  double: 0x05,
  null: 0x06,
  longLong: 0x08,
  date: 0x0a,
  datetime: 0x0c,
  decimal: 0xf6,
  blob: 0xfc,
  varString: 0xfd,
  string: 0xfe,
} as const;

export interface MysqlColumn {
  readonly name: string;
  /** Where it comes from; empty for an expression. */
  readonly schema: string;
  readonly table: string;
  readonly originalName: string;
  readonly type: (typeof MysqlType)[keyof typeof MysqlType];
  /** Greatest length in bytes, which clients use for the width of a column. */
  readonly length: number;
  /** Digits after the point; 31 where that is not fixed. */
  readonly decimals: number;
}

export type MysqlResult =
  | { readonly kind: 'ok' }
  | { readonly kind: 'rows'; readonly columns: readonly MysqlColumn[]; readonly rows: Iterable<readonly SqlValue[]> };

const NOT_FIXED = 31;

/** A column from its declared type (`varchar(80)`), or from a value of it where it has none. */
export function mysqlColumn(
  origin: Pick<MysqlColumn, 'name' | 'schema' | 'table' | 'originalName'>,
  declared: string | null,
  sample: SqlValue | undefined,
): MysqlColumn {
  const [, base = '', size = '', scale = ''] =
    /^(\w+)(?:\((\d+)(?:,(\d+))?\))?/.exec(declared?.toLowerCase() ?? '') ?? [];
  const width = Number(size);
  switch (base) {
    case 'int':
      return { ...origin, type: MysqlType.long, length: 11, decimals: 0 };
    case 'bigint':
      return { ...origin, type: MysqlType.longLong, length: 20, decimals: 0 };
    case 'decimal':
      return { ...origin, type: MysqlType.decimal, length: width + 2, decimals: Number(scale) };
    case 'datetime':
      return { ...origin, type: MysqlType.datetime, length: 19, decimals: 0 };
    case 'date':
      return { ...origin, type: MysqlType.date, length: 10, decimals: 0 };
    case 'char':
      return { ...origin, type: MysqlType.string, length: width * 4, decimals: 0 };
    case 'varchar':
      return { ...origin, type: MysqlType.varString, length: width * 4, decimals: 0 };
    default:
      return { ...origin, ...typeOfValue(sample) };
  }
}

function typeOfValue(sample: SqlValue | undefined): Pick<MysqlColumn, 'type' | 'length' | 'decimals'> {
  if (typeof sample === 'bigint') return { type: MysqlType.longLong, length: 21, decimals: 0 };
  if (typeof sample === 'number') return { type: MysqlType.double, length: 23, decimals: NOT_FIXED };
  if (sample instanceof Uint8Array) return { type: MysqlType.blob, length: 65_535, decimals: 0 };
  return { type: MysqlType.varString, length: 1_020, decimals: NOT_FIXED };
}

/** A value as the text protocol sends it; undefined for NULL. */
export function textOf(value: SqlValue, column: MysqlColumn): Buffer | undefined {
  if (value === null) return undefined;
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (column.type === MysqlType.decimal) return Buffer.from(Number(value).toFixed(column.decimals));
  // 15 digits: sums of prices do not end in …0000001, as they would not with MySQL's decimals.
  if (typeof value === 'number') return Buffer.from(String(Number(value.toPrecision(15))));
  return Buffer.from(String(value));
}

/**
 * What the lab's databases hold: a small shop, the same on every start, so that a query in a guide gives the rows the guide shows.
 * The types are written as MySQL has them; PostgreSQL's names are beside them where they differ.
 */
export interface SeedColumn {
  readonly name: string;
  /** As MySQL names it; SQLite keeps it as the declared type, from which the MySQL front takes it. */
  readonly type: string;
  readonly postgresType?: string;
  readonly key?: 'PRI' | 'UNI' | 'MUL';
  readonly references?: string;
}

export interface SeedTable {
  readonly name: string;
  readonly comment: string;
  readonly columns: readonly SeedColumn[];
  readonly rows: readonly (readonly (string | number)[])[];
}

/** Name of the database (MySQL: schema) on both servers. */
export const SEED_DATABASE = 'orders';

const CUSTOMERS = `
  Hanako Sato, JP|Jonas Weber, DE|Amara Okafor, NG|Lucia Moreno, ES|Noah Tremblay, CA|Mei Tanaka, JP|Liam Murphy, IE
  Ines Carvalho, PT|Oskar Lind, SE|Priya Nair, IN|Chloe Martin, FR|Tomas Novak, CZ|Aiko Mori, JP|Ella Virtanen, FI
  Mateo Rojas, CL|Sara Haddad, MA|Kenji Ito, JP|Ana Kovac, HR|Ruth Mwangi, KE|Emil Larsen, DK`
  .trim()
  .split(/\s*[|\n]\s*/);

const PRODUCTS: readonly (readonly [name: string, price: number])[] = [
  ['Notebook A5, ruled', 6.5],
  ['Fountain pen', 48],
  ['Ink, 50 ml, blue-black', 14.2],
  ['Desk lamp', 79.9],
  ['Pencil case', 19],
  ['Paper, 500 sheets', 8.75],
  ['Envelopes, 100', 11.4],
  ['Calendar 2026', 17.6],
];

const STATUSES = ['paid', 'shipped', 'shipped', 'shipped', 'pending', 'returned'] as const;
const ORDER_COUNT = 50;
const DAY = 86_400_000;
const FIRST_DAY = Date.UTC(2026, 0, 5, 8, 15);

const at = (instant: number) => new Date(instant).toISOString().slice(0, 19).replace('T', ' ');
const cents = (amount: number) => Math.round(amount * 100) / 100;
const pick = <T>(from: readonly T[], index: number): T => from[index % from.length]!;

const customerRows = CUSTOMERS.map((entry, index) => {
  const [name = '', country = ''] = entry.split(', ');
  const email = `${name.toLowerCase().replace(' ', '.')}@example.com`;
  return [index + 1, name, email, country, at(FIRST_DAY - (40 - index) * DAY)] as const;
});

/** Items of order n: one to four of them, spread over products and quantities by small primes. */
const itemRows = Array.from({ length: ORDER_COUNT }, (_, order) =>
  Array.from({ length: 1 + ((order * 7) % 4) }, (__, item) => {
    const [product, price] = pick(PRODUCTS, order * 3 + item * 5);
    return [order + 1, product, 1 + ((order + item * 2) % 5), price] as const;
  }),
)
  .flat()
  .map((row, index) => [index + 1, ...row] as const);

const orderRows = Array.from({ length: ORDER_COUNT }, (_, index) => {
  const items = itemRows.filter(([, order]) => order === index + 1);
  const total = cents(items.reduce((sum, [, , , quantity, price]) => sum + quantity * price, 0));
  const placedAt = at(FIRST_DAY + index * 2 * DAY + ((index * 7_919) % 600) * 60_000);
  return [index + 1, 1 + ((index * 11) % CUSTOMERS.length), pick(STATUSES, index * 5), placedAt, total] as const;
});

export const SEED_TABLES: readonly SeedTable[] = [
  {
    name: 'customers',
    comment: 'who buys',
    columns: [
      { name: 'id', type: 'int', key: 'PRI' },
      { name: 'name', type: 'varchar(80)' },
      { name: 'email', type: 'varchar(120)', key: 'UNI' },
      { name: 'country', type: 'char(2)' },
      { name: 'created_at', type: 'datetime', postgresType: 'timestamp' },
    ],
    rows: customerRows,
  },
  {
    name: 'orders',
    comment: 'what was ordered, and how far it is',
    columns: [
      { name: 'id', type: 'int', key: 'PRI' },
      { name: 'customer_id', type: 'int', key: 'MUL', references: 'customers' },
      { name: 'status', type: 'varchar(12)' },
      { name: 'placed_at', type: 'datetime', postgresType: 'timestamp' },
      { name: 'total', type: 'decimal(10,2)' },
    ],
    rows: orderRows,
  },
  {
    name: 'order_items',
    comment: 'one line of an order',
    columns: [
      { name: 'id', type: 'int', key: 'PRI' },
      { name: 'order_id', type: 'int', key: 'MUL', references: 'orders' },
      { name: 'product', type: 'varchar(60)' },
      { name: 'quantity', type: 'int' },
      { name: 'unit_price', type: 'decimal(8,2)' },
    ],
    rows: itemRows,
  },
];

const literal = (value: string | number) =>
  typeof value === 'number' ? String(value) : `'${value.replaceAll("'", "''")}'`;

const insert = (table: SeedTable, into: string) =>
  `INSERT INTO ${into} VALUES\n${table.rows.map((row) => `  (${row.map(literal).join(', ')})`).join(',\n')};\n`;

/** Tables and rows for SQLite, inside the schema `orders`, with MySQL's type names. */
export function sqliteSeed(): string {
  return SEED_TABLES.map((table) => {
    const columns = table.columns.map(
      ({ name, type, key }) =>
        `${name} ${type} NOT NULL${key === 'PRI' ? ' PRIMARY KEY' : key === 'UNI' ? ' UNIQUE' : ''}`,
    );
    const into = `${SEED_DATABASE}.${table.name}`;
    return `CREATE TABLE ${into} (${columns.join(', ')});\n${insert(table, into)}`;
  }).join('');
}

/** Tables and rows for PostgreSQL, in the schema `public`. */
export function postgresSeed(): string {
  return SEED_TABLES.map((table) => {
    const columns = table.columns.map(({ name, type, postgresType, key, references }) => {
      const constraint = key === 'PRI' ? ' PRIMARY KEY' : key === 'UNI' ? ' UNIQUE' : '';
      return `  ${name} ${postgresType ?? type} NOT NULL${constraint}${references ? ` REFERENCES ${references}` : ''}`;
    });
    const comment = `COMMENT ON TABLE ${table.name} IS ${literal(table.comment)};\n`;
    return `CREATE TABLE ${table.name} (\n${columns.join(',\n')}\n);\n${comment}${insert(table, table.name)}`;
  }).join('');
}

/** What MySQL's SHOW CREATE TABLE says of a table. */
export function mysqlCreateTable(table: SeedTable): string {
  const columns = table.columns.map(({ name, type }) => `  \`${name}\` ${type} NOT NULL`);
  const keys = table.columns.flatMap(({ name, key, references }) => {
    if (key === 'PRI') return [`  PRIMARY KEY (\`${name}\`)`];
    if (key === 'UNI') return [`  UNIQUE KEY \`${name}\` (\`${name}\`)`];
    if (key !== 'MUL') return [];
    const constraint = `  CONSTRAINT \`${table.name}_${name}\` FOREIGN KEY (\`${name}\`) REFERENCES \`${references}\` (\`id\`)`;
    return [`  KEY \`${name}\` (\`${name}\`)`, constraint];
  });
  const options = `ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT=${literal(table.comment)}`;
  return `CREATE TABLE \`${table.name}\` (\n${[...columns, ...keys].join(',\n')}\n) ${options}`;
}

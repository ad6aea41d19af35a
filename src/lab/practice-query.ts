import type { LocalEndpoint } from '../domain/endpoint.ts';
import { SEED_DATABASE } from './databases/seed.ts';
import { LAB_USERS } from './databases/users.ts';

/** What a query gave, as text. */
export interface PracticeAnswer {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** What the demo asks `prod`: the last orders that went out. */
export const PRACTICE_QUERY = `SELECT o.id, c.name, c.country, o.status, o.total
FROM orders o JOIN customers c ON c.id = o.customer_id
WHERE o.status = 'shipped' ORDER BY o.id DESC LIMIT 5`;

/** Who asks. */
export const PRACTICE_USER = LAB_USERS[0]!;

/**
 * Runs a query with a MySQL client that is not ours (mysql2), on a local port, as anybody's program would.
 *
 * @throws what the client throws
 */
export async function askPractice(local: LocalEndpoint, sql: string): Promise<PracticeAnswer> {
  const { createConnection } = await import('mysql2/promise');
  const { user, password } = PRACTICE_USER;
  const connection = await createConnection({ ...local, user, password, database: SEED_DATABASE, dateStrings: true });
  try {
    const [rows, fields] = await connection.query({ sql, rowsAsArray: true });
    const table = rows as readonly (readonly unknown[])[];
    return { columns: fields.map((field) => field.name), rows: table.map((row) => row.map(String)) };
  } finally {
    await connection.end();
  }
}

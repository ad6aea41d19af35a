import type { Engine } from '../../domain/target.ts';

interface Known {
  readonly engine: Engine;
  readonly label: string;
  /** How many parts of the version a person would say. */
  readonly parts: number;
}

/** RDS engine names by their start, the longer ones first. */
const ENGINES: readonly (readonly [prefix: string, known: Known])[] = [
  ['aurora-postgresql', { engine: 'postgres', label: 'Aurora PostgreSQL', parts: 1 }],
  ['aurora', { engine: 'mysql', label: 'Aurora MySQL', parts: 2 }],
  ['mysql', { engine: 'mysql', label: 'MySQL', parts: 2 }],
  ['mariadb', { engine: 'mariadb', label: 'MariaDB', parts: 2 }],
  ['postgres', { engine: 'postgres', label: 'PostgreSQL', parts: 1 }],
  ['sqlserver', { engine: 'sqlserver', label: 'SQL Server', parts: 2 }],
  ['custom-sqlserver', { engine: 'sqlserver', label: 'SQL Server', parts: 2 }],
  ['oracle', { engine: 'oracle', label: 'Oracle', parts: 1 }],
  ['custom-oracle', { engine: 'oracle', label: 'Oracle', parts: 1 }],
  ['docdb', { engine: 'other', label: 'DocumentDB', parts: 2 }],
  ['neptune', { engine: 'other', label: 'Neptune', parts: 2 }],
  ['db2', { engine: 'other', label: 'Db2', parts: 2 }],
];

/** PostgreSQL counted releases by two numbers up to 9.6. */
function shortVersion(version: string, parts: number): string {
  const numbers = /^\d+(\.\d+)*/.exec(version)?.[0].split('.') ?? [];
  const wanted = parts === 1 && Number(numbers[0]) < 10 ? 2 : parts;
  return numbers.slice(0, wanted).join('.');
}

/** `mysql`, `8.0.36` → MySQL 8.0; `aurora-postgresql`, `15.4` → Aurora PostgreSQL 15. */
export function databaseEngine(name = '', version = ''): { readonly engine: Engine; readonly label: string } {
  const known = ENGINES.find(([prefix]) => name.startsWith(prefix))?.[1];
  if (known === undefined) return { engine: 'other', label: [name || 'database', version].filter(Boolean).join(' ') };
  return { engine: known.engine, label: [known.label, shortVersion(version, known.parts)].filter(Boolean).join(' ') };
}

/** RDS Proxy listens on the port its family is known by, and says only the family. */
export function proxyEngine(family = ''): { readonly engine: Engine; readonly label: string; readonly port: number } {
  switch (family) {
    case 'MYSQL':
      return { engine: 'mysql', label: 'MySQL proxy', port: 3306 };
    case 'POSTGRESQL':
      return { engine: 'postgres', label: 'PostgreSQL proxy', port: 5432 };
    case 'SQLSERVER':
      return { engine: 'sqlserver', label: 'SQL Server proxy', port: 1433 };
    default:
      return { engine: 'other', label: 'RDS proxy', port: 3306 };
  }
}

import type { LocalEndpoint, RemoteEndpoint } from '../../domain/endpoint.ts';
import type { Secret } from '../../domain/secret.ts';

/*
 * What a client program needs to know of one open tunnel, and what follows from it: variables (client-variables.ts) and files
 * (client-files.ts). Pure; the files are written by client-set.ts.
 */

/** The family of clients that a far port has. */
export type ClientKind = 'mysql' | 'postgres' | 'sqlserver' | 'oracle' | 'redis' | 'http' | 'https' | 'other';

export type TlsWish = 'verify-full' | 'verify-ca' | 'require' | 'off';

export interface ClientView {
  /** As the user named it. */
  readonly name: string;
  readonly kind: ClientKind;
  readonly local: LocalEndpoint;
  /** As the far side calls it; without a host: a port of the machine itself. */
  readonly far: RemoteEndpoint;
  readonly user?: string | undefined;
  readonly dbName?: string | undefined;
  readonly password?: Secret | undefined;
  /** The password is a token that the server must see as it is: MySQL's clients send it so only when told. */
  readonly isToken?: boolean | undefined;
  /** Whose tools read an option file of MySQL; undefined: either's. */
  readonly family?: 'mysql' | 'mariadb' | undefined;
  /** Undefined: what the client does by itself. */
  readonly tls?: TlsWish | undefined;
  /** Certificates of the authorities that the server's certificate may come from, PEM. */
  readonly authorities?: string | undefined;
}

/** Where a machine's port or a host's port says what speaks there (registered at IANA). */
const KIND_OF_PORT: Readonly<Record<number, ClientKind>> = {
  80: 'http',
  443: 'https',
  1433: 'sqlserver',
  1521: 'oracle',
  3306: 'mysql',
  5432: 'postgres',
  6379: 'redis',
};

export function kindOfPort(port: number): ClientKind {
  return KIND_OF_PORT[port] ?? 'other';
}

import type { LocalEndpoint } from '../../domain/endpoint.ts';
import type { Route } from '../../domain/target.ts';

/** The client command to type after `ready`, for the protocols that have a usual one. */
export function nextStep(route: Route, local: LocalEndpoint, user: string | undefined): string | undefined {
  const { host, port } = local;
  if (route.target.kind !== 'database') {
    return route.to.port === 22 && route.to.host === undefined ? `ssh -p ${port} ${user ?? 'USER'}@${host}` : undefined;
  }
  switch (route.target.engine) {
    case 'mysql':
    case 'mariadb':
      // `localhost` would make these clients take a Unix socket and ignore the port.
      return `mysql -h ${host} -P ${port} -u ${user ?? 'USER'} -p`;
    case 'postgres':
      return `psql -h ${host} -p ${port} -U ${user ?? 'USER'} DATABASE`;
    case 'sqlserver':
      return `sqlcmd -S ${host},${port} -U ${user ?? 'USER'}`;
    case 'oracle':
      return `sqlplus ${user ?? 'USER'}@//${host}:${port}/SERVICE`;
    case 'other':
      return undefined;
  }
}

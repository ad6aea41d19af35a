import { formatEndpoint, type LocalEndpoint } from '../domain/endpoint.ts';
import { CloudtunError, systemCode } from '../domain/errors.ts';
import { describePortHolder, type PortHolder } from '../runtime/port-holder.ts';

export type FindPortHolder = (address: string, port: number) => Promise<PortHolder | undefined>;

/** Why an address could not be bound, for a person: CT_PORT_BUSY with the holder where the system tells, CT_BIND for the rest. */
export async function bindError(error: unknown, at: LocalEndpoint, findHolder: FindPortHolder): Promise<CloudtunError> {
  const where = formatEndpoint(at);
  switch (systemCode(error)) {
    case 'EADDRINUSE': {
      const holder = await findHolder(at.host, at.port).catch(() => undefined);
      const by = holder ? `held by ${describePortHolder(holder)}` : 'in use by another process';
      return new CloudtunError('CT_PORT_BUSY', `${where} is ${by}`, {
        hint: 'choose another local port, or 0 to be given a free one',
        cause: error,
      });
    }
    case 'EACCES':
    case 'EPERM':
      return new CloudtunError('CT_BIND', `${where} may not be bound by this user`, {
        hint:
          at.port > 0 && at.port < 1024
            ? 'ports below 1024 belong to the administrator; choose a local port from 1024 on'
            : 'the system forbids it; choose another address or port',
        cause: error,
      });
    case 'EADDRNOTAVAIL':
    case 'EAFNOSUPPORT':
    case 'EINVAL':
      return new CloudtunError('CT_BIND', `${at.host} is not an address of this machine`, {
        hint: 'bind 127.0.0.1, or an address that a network interface of this machine has',
        cause: error,
      });
    default:
      return new CloudtunError('CT_BIND', `${where} cannot be bound (${systemCode(error) ?? 'unknown error'})`, {
        cause: error,
      });
  }
}

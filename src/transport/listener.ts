import { createServer, isIPv6, type Server, type Socket } from 'node:net';
import { formatEndpoint, type LocalEndpoint } from '../domain/endpoint.ts';
import { CloudtunError, systemCode } from '../domain/errors.ts';
import { bindAddresses, isLoopbackAddress } from '../runtime/loopback.ts';
import { describePortHolder, findPortHolder, type PortHolder } from '../runtime/port-holder.ts';
import type { World } from '../runtime/world.ts';

/** TCP keep-alive on local connections, below common middlebox limits (spec section 5.6). */
const KEEP_ALIVE_DELAY = 25_000;
/** How often another free port is tried when the one the system gave is taken on the second address. */
const FREE_PORT_ATTEMPTS = 16;

export interface ListenerOptions {
  /** Every one of them is bound, or none: IP addresses; `localhost` and `*` stand for those of both families. */
  readonly bind: readonly string[];
  /** 0: a free port, the same one on every address. */
  readonly port: number;
  /** Called with each connection: half-open allowed, TCP_NODELAY, keep-alive; it already has an `error` listener that does nothing. */
  readonly onConnection: (socket: Socket) => void;
}

/** A bound port. Disposing it stops listening; connections that were accepted are not its own and stay. */
export interface Listener extends AsyncDisposable {
  readonly local: readonly LocalEndpoint[];
}

/** For tests: who holds a port. */
export type FindPortHolder = (address: string, port: number) => Promise<PortHolder | undefined>;

/**
 * Binds one port on every address of a rule.
 *
 * @throws CT_PORT_BUSY, which names the holder where the system tells; CT_BIND for everything else that keeps the address from
 *   being bound
 */
export async function openListener(
  world: World,
  options: ListenerOptions,
  findHolder: FindPortHolder = findPortHolder,
): Promise<Listener> {
  const addresses = [...new Set(options.bind.flatMap(bindAddresses))];
  const servers = await bindAll(addresses, options, findHolder);
  const local = servers.map((server, index) => ({ host: addresses[index]!, port: boundPort(server) }));
  for (const server of servers) {
    server.on('error', (error) => world.log.warn(`the local listener had trouble: ${error.message}`));
  }
  for (const endpoint of local) {
    if (isLoopbackAddress(endpoint.host)) continue;
    world.log.warn(`${formatEndpoint(endpoint)} is not a loopback address: other machines can use this tunnel as you`);
  }
  let closing: Promise<void> | undefined;
  return {
    local,
    [Symbol.asyncDispose]: () => {
      closing ??= closeAll(servers);
      return closing;
    },
  };
}

async function bindAll(
  addresses: readonly string[],
  options: ListenerOptions,
  findHolder: FindPortHolder,
): Promise<readonly Server[]> {
  for (let attempt = 1; ; attempt += 1) {
    const servers: Server[] = [];
    let port = options.port;
    try {
      for (const address of addresses) {
        const server = await bindOne(address, port, options.onConnection);
        servers.push(server);
        port = boundPort(server);
      }
      return servers;
    } catch (error) {
      await closeAll(servers);
      const isFreePortTaken = options.port === 0 && servers.length > 0 && systemCode(error) === 'EADDRINUSE';
      if (isFreePortTaken && attempt < FREE_PORT_ATTEMPTS) continue;
      throw await bindError(error, { host: addresses[servers.length]!, port }, findHolder);
    }
  }
}

function bindOne(address: string, port: number, onConnection: (socket: Socket) => void): Promise<Server> {
  const server = createServer(
    // Half-open: a client that has sent all it has to say may still wait for the answer.
    { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_DELAY },
    (socket) => {
      // A client may reset the connection before anybody looks after it; without a listener that would end the process.
      socket.on('error', () => {});
      onConnection(socket);
    },
  );
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // ipv6Only: `::` would otherwise take the IPv4 addresses too, and `0.0.0.0` of the same rule would find itself in the way.
    server.listen({ host: address, port, ipv6Only: isIPv6(address), exclusive: true }, () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}

function boundPort(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function closeAll(servers: readonly Server[]): Promise<void> {
  // `close` calls back only after the last accepted connection is gone, which is not for us to wait for: the port itself is free
  // as soon as the call returns.
  for (const server of servers) server.close();
}

async function bindError(error: unknown, at: LocalEndpoint, findHolder: FindPortHolder): Promise<CloudtunError> {
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

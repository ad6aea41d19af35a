import { createServer, isIPv6, type Server, type ServerOpts, type Socket } from 'node:net';
import { formatEndpoint, type LocalEndpoint } from '../domain/endpoint.ts';
import { systemCode } from '../domain/errors.ts';
import { bindAddresses, isLoopbackAddress } from '../runtime/loopback.ts';
import { findPortHolder } from '../runtime/port-holder.ts';
import type { World } from '../runtime/world.ts';
import { bindError, type FindPortHolder } from './bind-error.ts';

/** TCP keep-alive on local connections, below common middlebox limits (spec section 5.6). */
const KEEP_ALIVE_DELAY = 25_000;
/**
 * Half-open: a client that has sent all it has to say may still wait for the answer. Paused: Node would read 64 KiB of each accepted
 * client by itself, and a thousand may come at once.
 */
const LOCAL_SOCKETS: ServerOpts = {
  allowHalfOpen: true,
  pauseOnConnect: true,
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: KEEP_ALIVE_DELAY,
};
/** How often another free port is tried when the one the system gave is taken on the second address. */
const FREE_PORT_ATTEMPTS = 16;

export interface ListenerOptions {
  /** Every one of them is bound, or none: IP addresses; `localhost` and `*` stand for those of both families. */
  readonly bind: readonly string[];
  /** 0: a free port, the same one on every address. */
  readonly port: number;
  /** What somebody who connects from another machine can do; default: use the tunnel. */
  readonly reach?: string;
  /** Called with each connection: half-open allowed, TCP_NODELAY, keep-alive; it already has an `error` listener that does nothing. */
  readonly onConnection: (socket: Socket) => void;
}

/** A bound port. Disposing it stops listening; connections that were accepted are not its own and stay. */
export interface Listener extends AsyncDisposable {
  readonly local: readonly LocalEndpoint[];
}

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
  const servers = await bindAll(world, addresses, options, findHolder);
  const local = servers.map((server, index) => ({ host: addresses[index]!, port: boundPort(server) }));
  for (const server of servers) {
    server.on('error', (error) => world.log.warn(`the local listener had trouble: ${error.message}`));
  }
  for (const endpoint of local) {
    if (isLoopbackAddress(endpoint.host)) continue;
    const reach = options.reach ?? 'use this tunnel as you';
    world.log.warn(`${formatEndpoint(endpoint)} is not a loopback address: other machines can ${reach}`);
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
  world: World,
  addresses: readonly string[],
  options: ListenerOptions,
  findHolder: FindPortHolder,
): Promise<readonly Server[]> {
  for (let attempt = 1; ; attempt += 1) {
    const servers: Server[] = [];
    let port = options.port;
    try {
      for (const address of addresses) {
        const inherited = world.inherited?.take({ host: address, port }, LOCAL_SOCKETS, options.onConnection);
        const server = (await inherited) ?? (await bindOne(address, port, options.onConnection));
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
  const server = createServer(LOCAL_SOCKETS, (socket) => {
    // A client may reset the connection before anybody looks after it; without a listener that would end the process.
    socket.on('error', () => {});
    onConnection(socket);
  });
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

import { createServer, type Server, type Socket } from 'node:net';
import type { Connection, ServerChannel } from 'ssh2';
import type { World } from '../../runtime/world.ts';
import { dialDestination } from '../destination.ts';
import type { SshPlan } from './ssh-faults.ts';
import type { SshMachine } from './ssh-machine.ts';

/** Where `-R 0:…` begins to look for a free port. */
const FIRST_EPHEMERAL = 40_000;
const LAST_PORT = 65_535;

/** Serves `direct-tcpip` (`-L`, `-D`, hops) and `tcpip-forward` (`-R`) of one connection (RFC 4254, 7). */
export function serveForwarding(
  connection: Connection,
  machine: SshMachine,
  world: Pick<World, 'clock' | 'log'>,
  plan: () => SshPlan,
): void {
  // ssh2 says "administratively prohibited" only where nobody listens.
  if (plan().localForwarding) {
    connection.on('tcpip', (accept, reject, { destIP, destPort }) => {
      void machine.reach(destIP, destPort).then(
        (destination) => {
          const connected = (socket: Socket) => {
            connection.off('close', onGone);
            const channel = accept();
            if (channel === undefined) socket.destroy();
            else joinStreams(channel, socket);
          };
          const failed = () => {
            connection.off('close', onGone);
            reject();
          };
          const dial = dialDestination(destination, world.clock, connected, failed);
          const onGone = () => dial.abort();
          connection.once('close', onGone);
        },
        (error: unknown) => {
          world.log.warn(`lab: ${machine.name} could not look up ${destIP}: ${String(error)}`);
          reject();
        },
      );
    });
  }

  const forwards = new Map<string, () => void>();
  connection.on('request', (accept, reject, name, info) => {
    if (name === 'cancel-tcpip-forward') {
      const key = forwardKey(info.bindAddr, info.bindPort);
      const end = forwards.get(key);
      forwards.delete(key);
      end?.();
      if (end === undefined) reject?.();
      else accept?.();
      return;
    }
    if (name !== 'tcpip-forward' || !plan().remoteForwarding) {
      reject?.();
      return;
    }
    void openRemote(connection, machine, info, plan().gatewayPorts).then((opened) => {
      if (opened === undefined) {
        reject?.();
        return;
      }
      forwards.set(forwardKey(info.bindAddr, opened.port), opened.end);
      accept?.(opened.port);
    });
  });
  connection.once('close', () => {
    for (const end of forwards.values()) end();
  });
}

const forwardKey = (address: string, port: number): string => `${address}:${port}`;

/** Listens on a port of the machine; undefined when that cannot be. */
async function openRemote(
  connection: Connection,
  machine: SshMachine,
  { bindAddr, bindPort }: { readonly bindAddr: string; readonly bindPort: number },
  gatewayPorts: boolean,
): Promise<{ readonly port: number; readonly end: () => void } | undefined> {
  // Under 1024 only root may listen, and nobody here is.
  if (bindPort !== 0 && (bindPort < 1_024 || bindPort > LAST_PORT)) return undefined;
  let port = bindPort;
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
    connection.forwardOut(
      bindAddr,
      port,
      socket.remoteAddress ?? '127.0.0.1',
      socket.remotePort ?? 0,
      (error, channel) => {
        if (error) socket.destroy();
        else joinStreams(channel as ServerChannel, socket);
      },
    );
  });
  const localPort = await listen(server);
  if (localPort === undefined) return undefined;
  const isLoopback = ['localhost', '127.0.0.1', '::1'].includes(bindAddr) || !gatewayPorts;
  const address = { host: '127.0.0.1', port: localPort };
  const tries = bindPort === 0 ? LAST_PORT - FIRST_EPHEMERAL : 1;
  for (let attempt = 0; attempt < tries; attempt += 1) {
    port = bindPort === 0 ? FIRST_EPHEMERAL + attempt : bindPort;
    const release = machine.bind(port, address, isLoopback);
    if (release === undefined) continue;
    // As sshd does: a forward that is cancelled takes nobody new, and who is connected stays until the login is over.
    const end = () => {
      release();
      server.close();
    };
    connection.once('close', () => {
      for (const socket of sockets) socket.destroy();
    });
    return { port, end };
  }
  server.close();
  return undefined;
}

function listen(server: Server): Promise<number | undefined> {
  return new Promise((resolve) => {
    server.once('error', () => resolve(undefined));
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : undefined);
    });
  });
}

/** Carries bytes both ways; each direction ends by itself. */
function joinStreams(channel: ServerChannel, socket: Socket): void {
  socket.allowHalfOpen = true;
  let endedHalves = 0;
  const endHalf = () => {
    endedHalves += 1;
    if (endedHalves === 2) channel.end();
  };
  socket.on('error', () => channel.close());
  channel.on('error', () => socket.destroy());
  socket.once('close', () => channel.end());
  channel.once('close', () => socket.destroySoon());
  socket.once('end', () => {
    // Not `end()`, which closes a server's channel altogether; in turn with what still waits for the window.
    if (endedHalves === 0) channel.write(Buffer.alloc(0), () => channel.eof());
    endHalf();
  });
  channel.once('end', () => {
    socket.end();
    endHalf();
  });
  socket.pipe(channel, { end: false });
  channel.pipe(socket, { end: false });
}

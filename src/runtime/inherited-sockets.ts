import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import { createServer, type Server, type ServerOpts, type Socket } from 'node:net';
import { readTcpTables, scanTcpTable, TCP_LISTEN, tcpKey } from './tcp-table.ts';
import type { Environment } from './world.ts';

/*
 * Socket activation, sd_listen_fds(3): systemd binds the ports, and passes them from descriptor 3 on when it starts the process that is
 * to serve them. So a port can be below 1024 without a privilege, and a restart refuses nobody.
 */

const FIRST_DESCRIPTOR = 3;
/** More sockets than any unit has; a number beyond is no number of ours. */
const DESCRIPTOR_LIMIT = 1_024;

export interface InheritedSockets {
  /** How many systemd passed. */
  readonly count: number;
  /** A server on the socket that has this address, once; undefined where none has. */
  take(
    at: { readonly host: string; readonly port: number },
    options: ServerOpts,
    onConnection: (socket: Socket) => void,
  ): Promise<Server | undefined>;
}

/** Undefined when systemd passed none to this process. */
export function inheritedSockets(env: Environment, pid: number): InheritedSockets | undefined {
  const count = Number(env.LISTEN_FDS ?? '0');
  if (env.LISTEN_PID !== String(pid) || !Number.isInteger(count) || count < 1 || count > DESCRIPTOR_LIMIT) {
    return undefined;
  }
  const left = new Set(Array.from({ length: count }, (_, index) => FIRST_DESCRIPTOR + index));
  return {
    count,
    async take({ host, port }, options, onConnection) {
      const inodes = await listeningAt(tcpKey(host, port));
      const descriptor = [...left].find((each) => inodes.has(inodeOf(each)));
      if (descriptor === undefined) return undefined;
      left.delete(descriptor);
      return adopt(descriptor, options, onConnection);
    },
  };
}

/** Node tells the address of a socket only after it accepts on it, so the system's table is asked. */
async function listeningAt(key: string): Promise<ReadonlySet<number | undefined>> {
  const inodes = new Set<number>();
  for (const table of (await readTcpTables()) ?? []) {
    scanTcpTable(table, ({ state, inode }) => state === TCP_LISTEN && inodes.add(inode), new Set([key]));
  }
  return inodes;
}

function inodeOf(descriptor: number): number | undefined {
  try {
    const [, inode] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${descriptor}`)) ?? [];
    return inode === undefined ? undefined : Number(inode);
  } catch {
    return undefined;
  }
}

async function adopt(descriptor: number, options: ServerOpts, onConnection: (socket: Socket) => void): Promise<Server> {
  const server = createServer(options, (socket) => {
    // As for a socket of our own: a client may be gone before anybody looks after it.
    socket.on('error', () => {});
    onConnection(socket);
  });
  server.listen({ fd: descriptor });
  await once(server, 'listening');
  return server;
}

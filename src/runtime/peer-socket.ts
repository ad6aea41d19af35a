import { isLoopbackAddress } from './loopback.ts';
import { type ReadTcpTables, readTcpTables, scanTcpTable, tcpKey } from './tcp-table.ts';

/** The two ends of an accepted connection, as our socket names them. */
export interface SocketEnds {
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
}

/**
 * What became of the process at the other end of a connection: `held`: it still has its socket, so a FIN from it was a half close
 * and it may be waiting for an answer. `released`: nobody owns the socket, there is nobody to answer. `unknown`: not told.
 */
export type PeerState = 'held' | 'released' | 'unknown';

export type ReadPeerStates = (connections: readonly SocketEnds[]) => Promise<readonly PeerState[]>;

/**
 * Looks for the sockets at the other ends of connections on loopback; one read of the kernel's tables answers for all of them. A TCP
 * FIN says only "I send no more", and both a client that waits for the answer and one that is gone send it; the kernel knows which.
 * Connections that are not on loopback, and systems other than Linux, give `unknown`.
 */
export async function readPeerStates(
  connections: readonly SocketEnds[],
  readTables: ReadTcpTables = readTcpTables,
): Promise<readonly PeerState[]> {
  // The peer's row is ours with the ends swapped.
  const wanted = new Map<string, string>();
  const keys = connections.map((ends) => {
    if (!isLoopbackAddress(ends.remoteAddress)) return undefined;
    const local = tcpKey(ends.remoteAddress, ends.remotePort);
    const pair = `${local} ${tcpKey(ends.localAddress, ends.localPort)}`;
    wanted.set(local, pair);
    return pair;
  });
  if (wanted.size === 0) return keys.map(() => 'unknown');
  const tables = await readTables();
  if (!tables) return keys.map(() => 'unknown');
  const held = new Set<string>();
  for (const table of tables) {
    scanTcpTable(
      table,
      (row) => {
        if (row.inode !== 0) held.add(`${row.local} ${row.remote}`);
      },
      wanted,
    );
  }
  return keys.map((pair) => (pair === undefined ? 'unknown' : held.has(pair) ? 'held' : 'released'));
}

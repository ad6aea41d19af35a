import { isLoopbackAddress } from './loopback.ts';
import { type ReadTcpTables, readTcpTables, scanTcpTable, type TcpRow, tcpKey } from './tcp-table.ts';

/** The two ends of an accepted connection, as our socket names them. */
export interface SocketEnds {
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
}

/**
 * What became of the process at the other end of a connection. `held`: it still has its socket, so a FIN from it was a half close
 * and it may be waiting for an answer. `released`: nobody owns the socket any more, there is nobody to answer. `absent`: there is no
 * such socket, or the list missed it: it is not read at one instant. `unknown`: the system does not tell.
 */
export type PeerState = 'held' | 'released' | 'absent' | 'unknown';

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
  const wanted = new Set<string>();
  const keys = connections.map((ends) => {
    if (!isLoopbackAddress(ends.remoteAddress)) return undefined;
    const local = tcpKey(ends.remoteAddress, ends.remotePort);
    const pair = `${local} ${tcpKey(ends.localAddress, ends.localPort)}`;
    wanted.add(local);
    return pair;
  });
  if (wanted.size === 0) return keys.map(() => 'unknown');
  const tables = await readTables();
  if (!tables) return keys.map(() => 'unknown');
  const found = new Map<string, PeerState>();
  for (const table of tables) {
    const note = (row: TcpRow) => found.set(`${row.local} ${row.remote}`, row.inode === 0 ? 'released' : 'held');
    scanTcpTable(table, note, wanted);
  }
  return keys.map((pair) => (pair === undefined ? 'unknown' : (found.get(pair) ?? 'absent')));
}

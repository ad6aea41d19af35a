import { readFile } from 'node:fs/promises';

/*
 * Linux's list of TCP sockets, /proc/net/tcp and tcp6 (proc(5)): one line for each socket of the network namespace.
 *
 *     sl  local_address rem_address   st tx_queue:rx_queue tr:tm->when retrnsmt   uid  timeout inode
 *      0: 0100007F:33FA 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 31337 …
 *
 * An address is written as 32-bit words, each in the byte order of the machine; a port as plain hexadecimal. The inode is 0 for a
 * socket that no process owns any more.
 */

export interface TcpRow {
  /** As the table writes it: `0100007F:33FA`. IPv4 addresses inside IPv6 ones are written like plain ones. */
  readonly local: string;
  readonly remote: string;
  /** Kernel's number: 1 established, 10 listening … */
  readonly state: number;
  readonly uid: number;
  readonly inode: number;
}

export const TCP_LISTEN = 10;

/** Both tables as text, or undefined where the system has none. `tcp6` is empty where IPv6 is off. */
export type ReadTcpTables = () => Promise<readonly string[] | undefined>;

export const readTcpTables: ReadTcpTables = async () => {
  try {
    const tcp = await readFile('/proc/net/tcp', 'latin1');
    const tcp6 = await readFile('/proc/net/tcp6', 'latin1').catch(() => '');
    return [tcp, tcp6];
  } catch {
    return undefined;
  }
};

/** Calls `visit` with each row whose local end is one of `keys`, or with every row. Lines that are not understood are skipped. */
export function scanTcpTable(text: string, visit: (row: TcpRow) => void, keys?: { has(local: string): boolean }): void {
  for (let start = text.indexOf('\n') + 1; start > 0 && start < text.length; ) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    const colon = text.indexOf(': ', start);
    if (colon > 0 && colon < end) {
      const local = plainKey(text.slice(colon + 2, text.indexOf(' ', colon + 2)));
      if (!keys || keys.has(local)) {
        const fields = text.slice(colon + 2, end).split(/ +/);
        if (fields.length >= 9) {
          visit({
            local,
            remote: plainKey(fields[1]!),
            state: Number.parseInt(fields[2]!, 16),
            uid: Number(fields[6]),
            inode: Number(fields[8]),
          });
        }
      }
    }
    start = end + 1;
  }
}

/** The key of an address and port in the table, such as `0100007F:33FA` for 127.0.0.1 and 13306. */
export function tcpKey(address: string, port: number, isLittleEndian = IS_LITTLE_ENDIAN): string {
  const bytes = addressBytes(address);
  let words = '';
  for (let offset = 0; offset < bytes.length; offset += 4) {
    const word = bytes.subarray(offset, offset + 4);
    words += Buffer.from(isLittleEndian ? [...word].reverse() : word).toString('hex');
  }
  return `${words}:${port.toString(16).padStart(4, '0')}`.toUpperCase();
}

const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
/** ::ffff:0:0/96 as the table writes it, on either kind of machine. */
const MAPPED = /^0{16}(?:FFFF0000|0000FFFF)(?=[0-9A-F]{8}:)/;

/** Some runtimes (Java) reach IPv4 addresses by an IPv6 socket; its row is the same connection. */
function plainKey(key: string): string {
  return key.replace(MAPPED, '');
}

/** 4 or 16 bytes in network order. The address is one that Node gave for a socket, so it is well formed. */
function addressBytes(address: string): Buffer {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  if (!plain.includes(':')) return Buffer.from(plain.split('.').map(Number));
  const [head = '', tail] = plain.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = [
    ...left,
    ...Array<string>(tail === undefined ? 0 : 8 - left.length - right.length).fill('0'),
    ...right,
  ];
  const bytes = Buffer.alloc(16);
  for (const [index, group] of groups.entries()) bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2);
  return bytes;
}

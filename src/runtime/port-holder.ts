import { readdir, readFile, readlink } from 'node:fs/promises';
import { type ReadTcpTables, readTcpTables, scanTcpTable, TCP_LISTEN, type TcpRow, tcpKey } from './tcp-table.ts';

/** Who holds a local port. Without a pid: a process of another user, which this one may not look into. */
export interface PortHolder {
  readonly pid?: number;
  /** What runs: `mysqld`, `node cloudtun`. Never its arguments, which may hold secrets. */
  readonly command?: string;
  readonly uid: number;
}

/** A machine with more processes or open files than this gets an answer without a name. */
const MAX_PROCESSES = 4_096;
const MAX_OPEN_FILES = 65_536;

/**
 * Finds the process that holds a local address and port, on Linux, from /proc alone (no child process).
 *
 * @returns undefined where the system does not tell, or nobody holds it any more
 */
export async function findPortHolder(
  address: string,
  port: number,
  readTables: ReadTcpTables = readTcpTables,
): Promise<PortHolder | undefined> {
  const row = await findHoldingRow(address, port, readTables);
  if (!row) return undefined;
  const pid = await findSocketOwner(row.inode);
  if (pid === undefined) return { uid: row.uid };
  const command = commandName(await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''));
  return { uid: row.uid, pid, ...(command !== '' && { command }) };
}

/** `mysqld (pid 812)`, `pid 812`, `a process of uid 0`. */
export function describePortHolder(holder: PortHolder): string {
  if (holder.pid === undefined) return `a process of uid ${holder.uid}`;
  return holder.command === undefined ? `pid ${holder.pid}` : `${holder.command} (pid ${holder.pid})`;
}

/** What runs another program: the name of its script says more than its own. */
const INTERPRETER = /^(node|nodejs|bun|deno|python[\d.]*|ruby[\d.]*|perl[\d.]*|sh|bash|dash|zsh)$/;
const NAME_LIMIT = 40;

/** The program of a command line as /proc writes it, with NUL behind each word; empty when it has none (kernel threads). */
export function commandName(commandLine: string): string {
  const [program = '', script = ''] = commandLine.split('\0');
  // Servers write their state over it: `nginx: master process /usr/sbin/nginx`; login shells begin with a dash.
  const name = programName(program.replace(/^-/, '').replace(/[:\s].*$/s, ''));
  const isScript = INTERPRETER.test(name) && /^[^-]/.test(script) && !script.includes('=');
  return (isScript ? `${name} ${programName(script)}` : name).slice(0, NAME_LIMIT);
}

/** The last part of a path, without what a terminal might take for a command to itself. */
function programName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1).replace(/\p{Cc}/gu, '');
}

/** A listener on the address or on all addresses; else whatever else uses the port, such as an outgoing connection. */
async function findHoldingRow(address: string, port: number, readTables: ReadTcpTables): Promise<TcpRow | undefined> {
  const tables = await readTables();
  if (!tables) return undefined;
  const isWildcard = /^(0\.0\.0\.0|::)$/.test(address);
  const exact = tcpKey(address, port);
  const suffix = exact.slice(exact.indexOf(':'));
  const rows: TcpRow[] = [];
  for (const table of tables) {
    scanTcpTable(table, (row) => {
      if (!row.local.endsWith(suffix) || row.inode === 0) return;
      if (isWildcard || row.local === exact || /^0+:/.test(row.local)) rows.push(row);
    });
  }
  return rows.find((row) => row.state === TCP_LISTEN) ?? rows[0];
}

async function findSocketOwner(inode: number): Promise<number | undefined> {
  const wanted = `socket:[${inode}]`;
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name)).slice(0, MAX_PROCESSES);
  let budget = MAX_OPEN_FILES;
  for (const pid of pids) {
    // Processes of other users answer EACCES, processes that just ended ENOENT.
    const files = await readdir(`/proc/${pid}/fd`).catch(() => []);
    budget -= files.length;
    if (budget < 0) return undefined;
    const links = await Promise.all(files.map((file) => readlink(`/proc/${pid}/fd/${file}`).catch(() => '')));
    if (links.includes(wanted)) return Number(pid);
  }
  return undefined;
}

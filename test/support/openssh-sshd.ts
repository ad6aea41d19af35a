import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Lab } from '../../src/lab/lab.ts';
import type { LoopbackAddress } from '../../src/lab/loopback-services.ts';
import type { SshMachine } from '../../src/lab/ssh/ssh-machine.ts';
import { freePort } from '../bench/cloudtun-process.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/* Debian's OpenSSH server on loopback, and behind the machines of a lab: it asks the lab which keys it let in. */

type Test = { after(call: () => Promise<void>): void };

const SSHD = '/usr/sbin/sshd';
const SFTP_SERVER = '/usr/lib/openssh/sftp-server';
/** Where a root sshd wants its empty directory. */
const PRIVILEGE_SEPARATION = '/run/sshd';
const START_LIMIT_MS = 10_000;

/** A reason to skip a test that needs Debian's sshd; false when it is there. */
export function unlessOpenssh(): string | false {
  const absent = [SSHD, SFTP_SERVER].find((path) => !existsSync(path));
  return absent === undefined ? false : `${absent} is not installed`;
}

/** Whom everybody logs in as: an sshd that is not root can be nobody else. */
export const opensshUser = userInfo().username;

export interface OpensshOptions {
  /** An unencrypted private key in OpenSSH's format. */
  readonly hostKey: string;
  /** Whether the owner of a public key (blob of the wire) may log in now. */
  readonly admits: (userName: string, blob: Buffer) => boolean;
  /** Settings of sshd_config(5) over the usual ones: `{ AllowTcpForwarding: 'no' }`. */
  readonly config?: Readonly<Record<string, string | number>>;
}

export interface OpensshServer extends LoopbackAddress {
  /** Lines of its log so far. */
  readonly log: readonly string[];
  /** Resolves with the line of the log, past or future. */
  logged(pattern: RegExp): Promise<string>;
  /** Ends every connection, as a machine that crashes. */
  cut(): void;
  /** The server stops listening; who is logged in stays. */
  stop(): Promise<void>;
}

/** Starts an sshd as the user of this process, without a daemon, PAM or passwords. Stopped, logins included, when the test is over. */
export async function startOpenssh(
  test: Test,
  { hostKey, admits, config = {} }: OpensshOptions,
): Promise<OpensshServer> {
  const directory = await temporaryDirectory(test);
  const keyFile = join(directory, 'host_key');
  await writeFile(keyFile, hostKey, { mode: 0o600 });
  if (process.getuid?.() === 0) mkdirSync(PRIVILEGE_SEPARATION, { recursive: true, mode: 0o755 });
  const keyDesk = await startKeyDesk(test, admits);
  const port = await freePort();
  const settings = {
    Port: port,
    ListenAddress: '127.0.0.1',
    HostKey: keyFile,
    PidFile: 'none',
    UsePAM: 'no',
    UseDNS: 'no',
    StrictModes: 'no',
    PermitRootLogin: 'prohibit-password',
    PasswordAuthentication: 'no',
    KbdInteractiveAuthentication: 'no',
    AuthorizedKeysFile: 'none',
    // sshd wants a program of root's in folders of root's, so it is the shell that asks; nothing is written down anywhere.
    AuthorizedKeysCommand: `/bin/bash -c "exec 3<>/dev/tcp/127.0.0.1/${keyDesk}; echo '%u %t %k' >&3; cat <&3"`,
    AuthorizedKeysCommandUser: opensshUser,
    PrintMotd: 'no',
    PrintLastLog: 'no',
    LogLevel: 'VERBOSE',
  };
  // sshd takes the first value of a setting, in any letter case.
  const lines = [...Object.entries({ Subsystem: `sftp ${SFTP_SERVER}`, ...config }), ...Object.entries(settings)].map(
    ([key, value]) => `${key} ${value}`,
  );
  const configFile = join(directory, 'sshd_config');
  await writeFile(configFile, `${lines.join('\n')}\n`);
  // A group of its own, so that the processes of its logins can be ended with it.
  const child = spawn(SSHD, ['-D', '-e', '-f', configFile], { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
  const ended = once(child, 'exit');
  test.after(async () => {
    endGroup(child);
    await ended;
  });
  const { log, logged } = follow(child);
  const limit = setTimeout(() => child.kill('SIGKILL'), START_LIMIT_MS);
  await logged(/^Server listening on/).finally(() => clearTimeout(limit));
  return {
    host: '127.0.0.1',
    port,
    log,
    logged,
    cut: () => {
      for (const pid of descendants(child.pid!)) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // Its parent was killed a moment ago, and it went by itself.
        }
      }
    },
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

export interface OpensshLab {
  /** The sshd of a machine, once somebody has connected to it. */
  of(machineName: string): Promise<OpensshServer>;
  readonly user: string;
}

/**
 * Puts an sshd of Debian's on port 22 of the lab's machines, one each, started at its first connection: with the machine's own host
 * key, and open to whom EC2 Instance Connect, OS Login or the metadata let in, as long as they do. Everybody is {@link opensshUser}.
 *
 * @param onlyOf names of machines; default: all
 * @param letsAllIn whoever has a key, for measurements
 */
export function opensshLab(
  test: Test,
  lab: Lab,
  {
    config,
    onlyOf,
    letsAllIn = false,
  }: {
    readonly config?: Readonly<Record<string, string | number>>;
    readonly onlyOf?: readonly string[];
    readonly letsAllIn?: boolean;
  } = {},
): OpensshLab {
  const servers = new Map<string, { readonly machine: SshMachine; readonly started: Promise<OpensshServer> }>();
  lab.change((inventory) => ({
    ...inventory,
    instances: inventory.instances.map((one) => ({ ...one, users: [...(one.users ?? []), opensshUser] })),
  }));
  for (const { email } of lab.gcp.inventory.people) lab.gcp.osLogin.rename(email, opensshUser);
  lab.sshd.standIn((machine) => {
    if (onlyOf !== undefined && !onlyOf.includes(machine.name)) return undefined;
    let server = servers.get(machine.id);
    if (server === undefined) {
      const { privateKey } = lab.sshd.hostKey(machine.id);
      const admits = (userName: string, blob: Buffer) => letsAllIn || machine.admits(userName, blob);
      server = {
        machine,
        started: startOpenssh(test, { hostKey: privateKey, admits, ...(config !== undefined && { config }) }),
      };
      servers.set(machine.id, server);
    }
    return server.started;
  });
  return {
    user: opensshUser,
    of: (machineName) => {
      const found = [...servers.values()].find(({ machine }) => machine.name === machineName);
      if (found === undefined) throw new RangeError(`nobody has connected to ${machineName} yet`);
      return found.started;
    },
  };
}

/** Answers `USER TYPE BASE64` with the line of `authorized_keys`, or with nothing. Returns its port. */
async function startKeyDesk(test: Test, admits: OpensshOptions['admits']): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (asked) => {
      const [userName = '', type = '', base64 = ''] = asked.toString('latin1').trim().split(' ');
      const isIn = admits(userName, Buffer.from(base64, 'base64'));
      socket.end(isIn ? `${type} ${base64}\n` : '');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  test.after(async () => {
    server.close();
    await once(server, 'close');
  });
  return (server.address() as AddressInfo).port;
}

function follow(child: ChildProcess): Pick<OpensshServer, 'log' | 'logged'> {
  const log: string[] = [];
  let isOver = false;
  const said = createInterface({ input: child.stderr! });
  said.on('line', (line) => log.push(line.trimEnd()));
  said.once('close', () => {
    isOver = true;
  });
  const logged = (pattern: RegExp) =>
    new Promise<string>((resolve, reject) => {
      const check = () => {
        const line = log.find((one) => pattern.test(one));
        if (line !== undefined) resolve(line);
        else if (isOver) reject(new Error(`sshd never said ${pattern}:\n${log.join('\n')}`));
        else return;
        said.off('line', check).off('close', check);
      };
      said.on('line', check).on('close', check);
      check();
    });
  return { log, logged };
}

/** Processes that a process started, and theirs; parents first, so that no parent is left to tell how a child ended. */
export function descendants(pid: number): readonly number[] {
  let children: readonly number[];
  try {
    children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
  return children.flatMap((child) => [child, ...descendants(child)]);
}

function endGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGTERM');
  } catch {
    // Nobody of it is left.
  }
}

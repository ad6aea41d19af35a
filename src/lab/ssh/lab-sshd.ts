import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { AuthContext, Connection, PublicKeyAuthContext, Server as SshServer } from 'ssh2';
import { CloudtunError } from '../../domain/errors.ts';
import type { World } from '../../runtime/world.ts';
import type { LoopbackAddress } from '../loopback-services.ts';
import { MemoryFiles } from './core/memory-files.ts';
import { keyType } from './core/public-key.ts';
import { type HostKey, makeHostKey } from './host-key.ts';
import type { SshFaults, SshPlan } from './ssh-faults.ts';
import type { SshMachine } from './ssh-machine.ts';

type Ssh2 = typeof import('ssh2');

/** What is loaded at the first connection. */
interface Parts {
  readonly ssh2: Ssh2;
  readonly serveSession: typeof import('./ssh-session.ts').serveSession;
  readonly serveForwarding: typeof import('./ssh-forwarding.ts').serveForwarding;
}

/** What a machine's sshd keeps while the lab runs. */
interface Seat {
  readonly machine: SshMachine;
  readonly server: Server;
  readonly ready: Promise<LoopbackAddress>;
}

/** Where another sshd stands for a machine's; undefined: the embedded one does. */
export type SshdOf = (machine: SshMachine) => Promise<LoopbackAddress> | undefined;

/** Attempts of one connection, as OpenSSH's `MaxAuthTries`. */
const MOST_ATTEMPTS = 6;

/**
 * sshd on the practice machines of both clouds, each with its own ed25519 host key and files: public keys only, a small shell of our own
 * instead of processes, SFTP, forwarding both ways. A machine's port opens at its first connection, and ssh2 is loaded then.
 */
export class LabSshd implements AsyncDisposable {
  readonly #world: World;
  readonly #faults: SshFaults;
  readonly #seats = new Map<string, Seat>();
  readonly #hostKeys = new Map<string, HostKey>();
  readonly #files = new Map<string, MemoryFiles>();
  readonly #sockets = new Set<Socket>();
  #parts: Promise<Parts> | undefined;
  #standIn: SshdOf | undefined;

  constructor(world: World, faults: SshFaults) {
    this.#world = world;
    this.#faults = faults;
  }

  /** Puts servers of the caller's own in front of this one. They ask the machine who may log in; of the faults, only `absent` is theirs. */
  standIn(sshdOf: SshdOf): void {
    this.#standIn = sshdOf;
  }

  /** Where the machine's port 22 is; undefined when nobody listens there. */
  address(machine: SshMachine): Promise<LoopbackAddress> | undefined {
    if (this.#faults.plan(machine).answer === 'absent') return undefined;
    const other = this.#standIn?.(machine);
    if (other !== undefined) return other;
    let seat = this.#seats.get(machine.id);
    if (seat === undefined) {
      const server = createServer({ noDelay: true }, (socket) => void this.#meet(machine, socket));
      seat = { machine, server, ready: listen(server) };
      this.#seats.set(machine.id, seat);
    }
    return seat.ready;
  }

  /** The key that the machine shows, made at the first question. */
  hostKey(machineId: string): HostKey {
    let key = this.#hostKeys.get(machineId);
    if (key === undefined) {
      key = makeHostKey(this.#world.random);
      this.#hostKeys.set(machineId, key);
    }
    return key;
  }

  /** Gives the machine another host key, as if it had been installed anew. */
  replaceHostKey(machineId: string): void {
    this.#hostKeys.delete(machineId);
  }

  files(machineId: string): MemoryFiles {
    let files = this.#files.get(machineId);
    if (files === undefined) {
      files = new MemoryFiles(() => this.#world.clock.wall());
      for (const folder of ['/home', '/etc', '/tmp', '/root']) files.makeFolder(folder);
      this.#files.set(machineId, files);
    }
    return files;
  }

  /** Breaks every connection that stands. */
  disconnect(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Every connection is cut, as by a network that broke. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const seats = [...this.#seats.values()];
    this.#seats.clear();
    const closed = seats.map(({ server }) => new Promise<void>((resolve) => server.close(() => resolve())));
    this.disconnect();
    await Promise.all(closed);
  }

  async #meet(machine: SshMachine, socket: Socket): Promise<void> {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => this.#sockets.delete(socket));
    const plan = this.#faults.plan(machine);
    if (plan.answer === 'silent') return void socket.resume();
    if (plan.answer === 'refuse') return void socket.destroy();
    try {
      if (plan.delayMs > 0) await this.#world.clock.sleep(plan.delayMs);
      this.#parts ??= loadParts();
      const parts = await this.#parts;
      if (socket.destroyed) return;
      if (plan.answer === 'close-in-key-exchange') closeInKeyExchange(socket);
      this.#serverFor(parts, machine, plan).injectSocket(socket);
    } catch (error) {
      this.#world.log.warn(`lab: the sshd of ${machine.name} broke down: ${String(error)}`);
      socket.destroy();
    }
  }

  #serverFor(parts: Parts, machine: SshMachine, plan: SshPlan): SshServer {
    const { privateKey } = plan.wrongHostKey ? makeHostKey(this.#world.random) : this.hostKey(machine.id);
    const ident = machine.system === 'amazon-linux' ? 'OpenSSH_8.7' : 'OpenSSH_9.2p1';
    return new parts.ssh2.Server({ hostKeys: [privateKey], ident }, (connection) => {
      connection.on('error', () => {});
      this.#serve(parts, machine, connection);
    });
  }

  #serve({ ssh2, serveSession, serveForwarding }: Parts, machine: SshMachine, connection: Connection): void {
    let attempts = 0;
    let userName = '';
    connection.on('authentication', (attempt) => {
      userName = attempt.username;
      if (attempt.method !== 'none') attempts += 1;
      if (attempts > MOST_ATTEMPTS) {
        connection.end();
        return;
      }
      void this.#decide(ssh2, machine, attempt);
    });
    // One for each channel that is open.
    connection.setMaxListeners(0);
    connection.once('ready', () => {
      const login = { world: this.#world, machine, userName, files: this.files(machine.id), connection };
      connection.on('session', (accept) => {
        serveSession(accept(), login);
      });
      serveForwarding(connection, machine, this.#world, () => this.#faults.plan(machine));
      const { endAfterMs } = this.#faults.plan(machine);
      if (endAfterMs === 0) return;
      const timer = this.#world.clock.after(endAfterMs, () => connection.end());
      connection.once('close', () => timer.cancel());
    });
  }

  async #decide(ssh2: Ssh2, machine: SshMachine, attempt: AuthContext): Promise<void> {
    if (attempt.method !== 'publickey' || !machine.admits(attempt.username, attempt.key.data)) {
      attempt.reject(['publickey']);
      return;
    }
    // Without a signature the client only asks whether the key would do.
    if (attempt.signature !== undefined) {
      if (!isSignedBy(ssh2, attempt)) {
        attempt.reject(['publickey']);
        return;
      }
      const { loginDelayMs } = this.#faults.plan(machine);
      if (loginDelayMs > 0) await this.#world.clock.sleep(loginDelayMs);
    }
    attempt.accept();
  }
}

async function loadParts(): Promise<Parts> {
  const [module, { serveSession }, { serveForwarding }] = await Promise.all([
    import('ssh2'),
    import('./ssh-session.ts'),
    import('./ssh-forwarding.ts'),
  ]);
  // A CommonJS package whose names Node does not all find by itself.
  const { default: ssh2 } = module as Ssh2 & { readonly default: Ssh2 };
  return { ssh2, serveSession, serveForwarding };
}

function isSignedBy(ssh2: Ssh2, { key, blob, signature, hashAlgo }: PublicKeyAuthContext): boolean {
  const parsed = ssh2.utils.parseKey(`${keyType(key.data) ?? ''} ${key.data.toString('base64')}`);
  if (parsed instanceof Error || blob === undefined || signature === undefined) return false;
  return parsed.verify(blob, signature, hashAlgo) === true;
}

/** Lets the banner out, and cuts when the client's own key exchange message arrives after its banner. */
function closeInKeyExchange(socket: Socket): void {
  let received = 0;
  let bannerEnd = -1;
  socket.prependListener('data', (data: Buffer) => {
    if (bannerEnd < 0) bannerEnd = data.includes(10) ? received + data.indexOf(10) + 1 : -1;
    received += data.length;
    if (bannerEnd >= 0 && received > bannerEnd) socket.destroy();
  });
}

function listen(server: Server): Promise<LoopbackAddress> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => reject(new CloudtunError('CT_LAB_FAILED', 'a lab sshd has no port', { cause })));
    server.listen(0, '127.0.0.1', () => resolve({ host: '127.0.0.1', port: (server.address() as AddressInfo).port }));
  });
}

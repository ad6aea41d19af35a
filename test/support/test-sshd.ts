import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import ssh2 from 'ssh2';
import type { Dialer, TunnelStream } from '../../src/domain/dialer.ts';
import type { RemoteEndpoint } from '../../src/domain/endpoint.ts';
import { CloudtunError } from '../../src/domain/errors.ts';
import { type EphemeralKey, ephemeralKey } from '../../src/ssh/ephemeral-key.ts';

/** What a command does on the far side; the test's own function. */
export type Command = (channel: ssh2.ServerChannel, session: SessionSeen) => void;

/** What was asked of a session before its command or shell began. */
export interface SessionSeen {
  pty?: { readonly term: string; readonly cols: number; readonly rows: number };
  readonly sizes: string[];
  readonly signals: string[];
  hasAgent: boolean;
}

export interface TestSshdOptions {
  readonly commands?: Readonly<Record<string, Command>>;
  readonly shell?: Command;
  /** Answers the requests of an SFTP session. */
  readonly sftp?: (sftp: ssh2.SFTPWrapper) => void;
  /** Decides about a login beyond the accepted keys: `attempt` counts publickey attempts from 1. */
  readonly admits?: (attempt: number) => boolean;
  /** Where direct-tcpip goes: a local port, a refusal, or no answer at all. Without it: prohibited. */
  readonly forward?: (to: Required<RemoteEndpoint>) => number | 'refused' | 'silent';
}

/** An sshd of ssh2's own server on loopback, for what OpenSSH cannot be told to do. */
export class TestSshd implements AsyncDisposable {
  readonly hostKey: EphemeralKey = ephemeralKey('host');
  /** Public lines that may log in as anybody. */
  readonly accepted = new Set<string>();
  readonly users: string[] = [];
  readonly sessions: SessionSeen[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #options: TestSshdOptions;
  #attempts = 0;

  constructor(options: TestSshdOptions = {}) {
    this.#options = options;
    const sshd = new ssh2.Server({ hostKeys: [this.hostKey.privateKey.reveal()] }, (client) => this.#serve(client));
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      sshd.injectSocket(socket);
    });
  }

  async listen(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** As a broken network would. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #serve(client: ssh2.Connection): void {
    client.on('error', () => {});
    client.on('authentication', (context) => {
      if (context.method !== 'publickey') return context.reject(['publickey']);
      const line = [...this.accepted].find((each) =>
        context.key.data.equals(Buffer.from(each.split(' ')[1]!, 'base64')),
      );
      if (line === undefined) return context.reject(['publickey']);
      if (context.signature === undefined) {
        this.#attempts += 1;
        if (this.#options.admits?.(this.#attempts) === false) return context.reject(['publickey']);
        return context.accept();
      }
      const key = ssh2.utils.parseKey(line) as ssh2.ParsedKey;
      if (key.verify(context.blob!, context.signature, context.hashAlgo) !== true) return context.reject(['publickey']);
      this.users.push(context.username);
      context.accept();
    });
    client.on('session', (accept) => this.#session(accept()));
    const { forward } = this.#options;
    if (!forward) return;
    client.on('tcpip', (accept, reject, { destIP, destPort }) => {
      const to = forward({ host: destIP, port: destPort });
      if (to === 'silent') return;
      if (to === 'refused') return reject();
      const socket = connect({ host: '127.0.0.1', port: to, allowHalfOpen: true });
      socket.on('error', () => reject());
      socket.on('connect', () => {
        const channel = accept();
        channel.on('error', () => {});
        socket.removeAllListeners('error').on('error', () => channel.close());
        channel.pipe(socket).pipe(channel);
        channel.on('close', () => socket.destroy());
      });
    });
  }

  #session(session: ssh2.Session): void {
    const seen: SessionSeen = { sizes: [], signals: [], hasAgent: false };
    this.sessions.push(seen);
    session.on('pty', (accept, _reject, info) => {
      seen.pty = { term: Reflect.get(info, 'term') as string, cols: info.cols, rows: info.rows };
      accept?.();
    });
    session.on('window-change', (accept, _reject, { cols, rows }) => {
      seen.sizes.push(`${cols}x${rows}`);
      accept?.();
    });
    session.on('signal', (accept, _reject, { name }) => {
      seen.signals.push(name);
      accept?.();
    });
    session.on('auth-agent', (accept) => {
      seen.hasAgent = true;
      accept?.();
    });
    session.on('exec', (accept, reject, { command }) => {
      const run = this.#options.commands?.[command];
      if (run) run(accept(), seen);
      else reject();
    });
    session.on('sftp', (accept, reject) => {
      if (this.#options.sftp) this.#options.sftp(accept());
      else reject();
    });
    session.on('shell', (accept, reject) => {
      if (this.#options.shell) this.#options.shell(accept(), seen);
      else reject();
    });
  }
}

/** A Dialer that reaches loopback ports, as a tunnel that ends on this machine would. */
export function loopbackDialer(): Dialer & { readonly dials: RemoteEndpoint[] } {
  const dials: RemoteEndpoint[] = [];
  return {
    dials,
    async dial(to): Promise<TunnelStream> {
      dials.push(to);
      const socket = connect({ host: '127.0.0.1', port: to.port, allowHalfOpen: true, noDelay: true });
      try {
        await once(socket, 'connect');
      } catch (cause) {
        throw new CloudtunError('CT_REMOTE_REFUSED', `nothing listens on ${to.port}`, { cause });
      }
      return Object.assign(socket, { accepted: Promise.resolve('connected' as const) });
    },
    async [Symbol.asyncDispose]() {},
  };
}

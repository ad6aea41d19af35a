import type { Duplex } from 'node:stream';
import ssh2 from 'ssh2';
import type { Dialer, TunnelStream } from '../domain/dialer.ts';
import { formatEndpoint } from '../domain/endpoint.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import type { World } from '../runtime/world.ts';
import { connectionLost } from './ssh-errors.ts';
import { logIn } from './ssh-handshake.ts';
import type { SshConnectOptions, SshLoginPlan, SshServer } from './ssh-login.ts';

/** How long the server may take to answer our goodbye before the stream is cut (guessed). */
const GOODBYE: Millis = 2_000;

/**
 * A login that stands: sessions and forwarded connections are opened on it. Disposing it closes all of them and the stream below.
 * What may wait to be sent is bounded by the window that the server gave each channel (2 MiB with OpenSSH), what may wait to be
 * read by ours (2 MiB a channel).
 */
export class SshConnection implements AsyncDisposable {
  /** For the modules of this folder. */
  readonly client: ssh2.Client;
  readonly server: SshServer;
  readonly user: string;
  /** Settles once, never rejects: with why it broke, or undefined when we closed it. */
  readonly closed: Promise<CloudtunError | undefined>;
  readonly #world: World;
  readonly #stream: TunnelStream;
  readonly #streams = new Set<Duplex>();
  readonly #atEnd: Promise<void>[] = [];
  #isClosing = false;
  #failure: CloudtunError | undefined;

  constructor(world: World, client: ssh2.Client, stream: TunnelStream, server: SshServer, user: string) {
    this.#world = world;
    this.client = client;
    this.#stream = stream;
    this.server = server;
    this.user = user;
    this.closed = new Promise((resolve) => {
      const end = (cause: unknown) => {
        if (!this.#isClosing) this.#failure ??= connectionLost(server, cause);
        stream.destroy();
        for (const each of this.#streams) each.destroy(this.#failure);
        resolve(this.#failure);
      };
      client.on('error', (error) => end(error));
      client.on('close', () => end(undefined));
      // A stream of a tunnel stays half open by itself, and SSH has no use for a half.
      stream.once('end', () => end(undefined)).once('close', () => end(undefined));
      // A server may say goodbye right behind its yes to the login: then all of that was told before anybody listened here.
      if (stream.destroyed || stream.readableEnded) end(undefined);
    });
  }

  /** Why it broke; undefined while it stands, or when we closed it. */
  get failure(): CloudtunError | undefined {
    return this.#failure;
  }

  /** A stream over this connection, to be destroyed with it: one that nobody reads would not see its end. */
  adopt(stream: Duplex): void {
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
  }

  /** What goes on beside the login and must be over when it is disposed: never rejects, and takes bounded time. */
  awaitAtEnd(work: Promise<void>): void {
    this.#atEnd.push(work);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#logOut();
    await Promise.all(this.#atEnd);
  }

  async #logOut(): Promise<void> {
    if (this.#failure || this.#isClosing) {
      await this.closed;
      return;
    }
    this.#isClosing = true;
    const timer = this.#world.clock.after(GOODBYE, () => this.#stream.destroy());
    this.client.end();
    await this.closed;
    timer.cancel();
  }
}

/**
 * Connects and logs in over a stream of the dialer. A login that is refused is tried again, over a new stream, after each pause of
 * the plan.
 *
 * @throws CT_LOGIN_REFUSED with what was tried; CT_HOST_KEY_CHANGED; CT_PROTO_SSH; CT_REMOTE_UNEXPECTED (no SSH server);
 *   CT_REMOTE_REFUSED (nobody listens), CT_REMOTE_SILENT, CT_TIMEOUT; what dialling throws; the reason of `signal`
 */
export async function connectSsh(
  world: World,
  dialer: Pick<Dialer, 'dial'>,
  server: SshServer,
  login: SshLoginPlan,
  options: SshConnectOptions,
  signal: AbortSignal,
): Promise<SshConnection> {
  for (const pause of login.retryAfter) {
    try {
      return await connectOnce(world, dialer, server, login, options, signal);
    } catch (error) {
      if (!(error instanceof CloudtunError) || error.code !== 'CT_LOGIN_REFUSED') throw error;
      world.log.debug(`${server.label} refused the login as ${login.user}; trying again in ${pause} ms`);
      options.onRetry?.(pause);
      await world.clock.sleep(pause, signal);
    }
  }
  return connectOnce(world, dialer, server, login, options, signal);
}

async function connectOnce(
  world: World,
  dialer: Pick<Dialer, 'dial'>,
  server: SshServer,
  login: SshLoginPlan,
  options: SshConnectOptions,
  signal: AbortSignal,
): Promise<SshConnection> {
  signal.throwIfAborted();
  const stream = await dialer.dial(server.to, signal).catch((error: unknown) => {
    throw withSshHint(error, server);
  });
  const client = new ssh2.Client();
  try {
    await logIn(world, client, stream, server, login, options, signal);
  } catch (error) {
    stream.destroy();
    throw withSshHint(error, server);
  }
  return new SshConnection(world, client, stream, server, login.user);
}

/** A port that refuses is most likely a machine without an sshd. */
function withSshHint(thrown: unknown, { label, to }: SshServer): unknown {
  if (!(thrown instanceof CloudtunError) || thrown.code !== 'CT_REMOTE_REFUSED') return thrown;
  return new CloudtunError('CT_REMOTE_REFUSED', `no SSH server answers on ${formatEndpoint(to)} of ${label}`, {
    details: thrown.details,
    hint: ['is sshd running there? another port is given with -p', ...thrown.hints],
    cause: thrown,
  });
}

import type ssh2 from 'ssh2';
import type { TunnelStream } from '../domain/dialer.ts';
import { formatEndpoint, type RemoteEndpoint } from '../domain/endpoint.ts';
import { CloudtunError } from '../domain/errors.ts';
import { unlessAborted } from '../runtime/deadline.ts';
import { ChannelStream } from './channel-stream.ts';
import type { SshConnection } from './ssh-connection.ts';

/** An address of the far machine to listen on, as its sshd understands it (RFC 4254, section 7.1): `localhost`, an address, `''` for all. */
export type RemoteBind = Required<RemoteEndpoint>;

/** Somebody who connected to a port of the far machine and waits. One of the two must be called, once. */
export interface RemoteCaller {
  /** As the far sshd saw it. */
  readonly from: Required<RemoteEndpoint>;
  accept(): TunnelStream;
  /** The caller sees its connection closed. */
  refuse(): void;
}

/** A port of the far machine that its sshd listens on for us. */
export interface RemotePort {
  readonly bind: RemoteBind;
  /** Gives the port back. Never rejects; when the connection is gone, so is the port. */
  close(): Promise<void>;
}

/** Remote forwards (`tcpip-forward`, RFC 4254, section 7) of one connection. At most one of these for each. */
export class RemotePorts {
  readonly #connection: SshConnection;
  readonly #takers = new Map<string, (caller: RemoteCaller) => void>();

  constructor(connection: SshConnection) {
    this.#connection = connection;
    connection.client.on('tcp connection', ({ srcIP, srcPort, destIP, destPort }, accept, reject) => {
      const take = this.#takers.get(formatEndpoint({ host: destIP, port: destPort }));
      if (take === undefined) return reject();
      take({
        from: { host: srcIP, port: srcPort },
        accept: () => new ChannelStream(accept(), connection),
        refuse: () => {
          if (!connection.failure) reject();
        },
      });
    });
  }

  /**
   * Asks the far sshd to listen. With port 0 it chooses one.
   *
   * @throws CT_FORWARD_PROHIBITED without a cause, since the protocol has no reason for it (`explainRefusal` looks for one);
   *   CT_TUNNEL_LOST; the reason of `signal`
   */
  async listen(bind: RemoteBind, take: (caller: RemoteCaller) => void, signal: AbortSignal): Promise<RemotePort> {
    signal.throwIfAborted();
    const { client, server } = this.#connection;
    const opening = this.#ask<RemotePort>((resolve, reject) => {
      client.forwardIn(bind.host, bind.port, (error, port) => {
        if (error) return reject(notListening(server.label, bind, error));
        const bound = { host: bind.host, port };
        // Before the promise settles: a caller may come in the same read as the answer.
        this.#takers.set(formatEndpoint(bound), take);
        resolve({ bind: bound, close: () => this.#close(bound) });
      });
    });
    try {
      return await unlessAborted(opening, signal);
    } catch (error) {
      // A port that comes too late belongs to nobody.
      opening.then(
        (port) => void port.close(),
        () => {},
      );
      throw error;
    }
  }

  async #close(bind: RemoteBind): Promise<void> {
    if (!this.#takers.delete(formatEndpoint(bind)) || this.#connection.failure) return;
    const { client } = this.#connection;
    await this.#ask<void>((resolve) => client.unforwardIn(bind.host, bind.port, () => resolve())).catch(() => {});
  }

  /** Settles also when the connection goes away before its answer. */
  #ask<Result>(ask: (resolve: (result: Result) => void, reject: (error: unknown) => void) => void): Promise<Result> {
    const { closed, server } = this.#connection;
    return new Promise((resolve, reject) => {
      const gone = (failure: CloudtunError | undefined) =>
        reject(failure ?? new CloudtunError('CT_TUNNEL_LOST', `the SSH connection to ${server.label} is closed`));
      void closed.then(gone);
      try {
        ask(resolve, reject);
      } catch {
        // ssh2 throws where its socket is gone; `closed` says why.
      }
    });
  }
}

function notListening(label: string, bind: RemoteBind, cause: ssh2.ClientErrorExtensions & Error): CloudtunError {
  return new CloudtunError('CT_FORWARD_PROHIBITED', `the sshd of ${label} does not listen on ${remoteName(bind)}`, {
    cause,
  });
}

/** `port 8080`, `port 8080 of 10.0.0.5`, `a free port of all addresses`. */
export function remoteName({ host, port }: RemoteBind): string {
  const what = port === 0 ? 'a free port' : `port ${port}`;
  if (host === 'localhost') return what;
  return `${what} of ${host === '' ? 'all addresses' : host}`;
}

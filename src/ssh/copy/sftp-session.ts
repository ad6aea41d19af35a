import type ssh2 from 'ssh2';
import { CloudtunError } from '../../domain/errors.ts';
import type { World } from '../../runtime/world.ts';
import { openChannel } from '../run-command.ts';
import type { SshConnection } from '../ssh-connection.ts';
import { statusOf } from './file-errors.ts';

type Done<Result> = (error?: Error | null, result?: Result) => void;

/** Sends a request of ssh2's SFTP. */
export type Send<Result> = (sftp: ssh2.SFTPWrapper, done: Done<Result>) => void;

/**
 * The SFTP subsystem of a login (draft-ietf-secsh-filexfer-02), with promises. Every request settles: ssh2 forgets the callbacks of
 * some when the channel ends, so they are kept here. How many are under way is the caller's to bound.
 */
export class SftpSession implements AsyncDisposable {
  readonly #sftp: ssh2.SFTPWrapper;
  readonly #signal: AbortSignal;
  readonly #pending = new Set<(reason: unknown) => void>();
  #end: unknown;

  constructor(world: Pick<World, 'clock'>, sftp: ssh2.SFTPWrapper, connection: SshConnection, signal: AbortSignal) {
    this.#sftp = sftp;
    this.#signal = signal;
    const { label } = connection.server;
    let broken: unknown;
    sftp.on('error', (error: Error) => {
      broken ??= error;
    });
    const end = () => this.#fail(connection.failure ?? sessionEnded(label, broken));
    // The end of the connection says more, and may come a moment after that of its channels.
    sftp.on('close', () => world.clock.soon(end));
    void connection.closed.then(end);
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /**
   * One request.
   *
   * @throws what the server answers, with its status as a number in `code`; CT_TUNNEL_LOST; the reason of the signal; what ssh2 throws
   *   for an extension that the server does not have
   */
  ask<Result = void>(send: Send<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.#end !== undefined) return reject(this.#end);
      const fail = (reason: unknown) => {
        this.#pending.delete(fail);
        reject(reason);
      };
      this.#pending.add(fail);
      try {
        send(this.#sftp, (error, result) => {
          // At the end of the channel ssh2 fails some requests by itself; why it ended is known better a moment later.
          if (error && statusOf(error) === undefined) return;
          this.#pending.delete(fail);
          if (error) reject(error);
          else resolve(result as Result);
        });
      } catch (error) {
        fail(error);
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#end ??= new CloudtunError('CT_INTERRUPTED', 'the SFTP session is closed');
    this.#sftp.end();
  }

  readonly #onAbort = () => this.#fail(this.#signal.reason);

  #fail(reason: unknown): void {
    this.#end ??= reason;
    for (const fail of this.#pending) fail(this.#end);
  }
}

/** @throws CT_NO_SFTP; as `openChannel` */
export async function openSftp(
  world: Pick<World, 'clock'>,
  connection: SshConnection,
  signal: AbortSignal,
): Promise<SftpSession> {
  const { label } = connection.server;
  // Types and behaviour agree here: ssh2 gives an SFTP object where a session gives a channel.
  const sftp = await openChannel(connection, signal, (take) =>
    connection.client.sftp((error, session) => take(error && noSftp(label, error), session as never)),
  );
  return new SftpSession(world, sftp as unknown as ssh2.SFTPWrapper, connection, signal);
}

function noSftp(label: string, cause: Error): Error {
  // A number: the server would not open a channel at all, which is said elsewhere.
  if (typeof Reflect.get(cause, 'reason') === 'number') return cause;
  return new CloudtunError('CT_NO_SFTP', `${label} does not serve SFTP`, {
    hint: [
      'its sshd may lack the line "Subsystem sftp", or a login script of the user prints something (echo in ~/.bashrc)',
      'without SFTP, a folder goes through: tar c FOLDER | cloudtun ssh TARGET tar x',
    ],
    cause,
  });
}

function sessionEnded(label: string, cause: unknown): CloudtunError {
  return new CloudtunError('CT_TUNNEL_LOST', `the SFTP session on ${label} ended in the middle`, { cause });
}

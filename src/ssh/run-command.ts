import type { Readable, Writable } from 'node:stream';
import type ssh2 from 'ssh2';
import { CloudtunError } from '../domain/errors.ts';
import { unlessAborted } from '../runtime/deadline.ts';
import { type Pump, pump } from './session-streams.ts';
import type { SshConnection } from './ssh-connection.ts';
import { channelRefused } from './ssh-errors.ts';

/** How a command or shell of the far side ended. */
export type SessionEnd = { readonly code: number } | { readonly signal: string };

export interface SessionReport {
  readonly end: SessionEnd;
  /** Of standard input. */
  readonly bytesUp: number;
  /** Of standard output and standard error together. */
  readonly bytesDown: number;
}

export interface CommandStreams {
  /** Its end is the end of the command's standard input; without it the command's input is empty. */
  readonly input?: Readable;
  readonly output: Writable;
  readonly errors: Writable;
}

/**
 * Runs one command, or a login shell, without a terminal: output and errors apart, both ways at the pace of whoever is slower. The given streams are
 * neither ended nor destroyed.
 *
 * @param variables for the session, as far as the sshd takes them (`AcceptEnv`)
 * @throws CT_TUNNEL_LOST when the connection breaks or the session ends without a result; CT_FORWARD_PROHIBITED and CT_REMOTE_REFUSED
 *   when the server opens no session; CT_OUTPUT when the output cannot be written; the reason of `signal`
 */
export async function runCommand(
  connection: SshConnection,
  command: string | undefined,
  streams: CommandStreams,
  signal: AbortSignal,
  variables: Readonly<Record<string, string>> = {},
): Promise<SessionReport> {
  const env = { ...variables };
  const channel = await openChannel(connection, signal, (take) =>
    command === undefined
      ? connection.client.shell(false, { env }, take)
      : connection.client.exec(command, { env }, take),
  );
  return await carry(connection, channel, streams, signal);
}

/** A session's channel, with the refusals of the server typed. */
export async function openChannel(
  connection: SshConnection,
  signal: AbortSignal,
  open: (take: (error: Error | undefined, channel: ssh2.ClientChannel) => void) => void,
): Promise<ssh2.ClientChannel> {
  signal.throwIfAborted();
  // ssh2 calls back with an error also when the connection breaks meanwhile.
  const opening = new Promise<ssh2.ClientChannel>((resolve, reject) => {
    const { failure } = connection;
    if (failure) return reject(failure);
    open((error, channel) => {
      if (error) reject(connection.failure ?? channelRefused(connection.server.label, undefined, error));
      else resolve(channel);
    });
  });
  return await unlessAborted(opening, signal);
}

/** Everything from an open channel to its end. */
export async function carry(
  connection: SshConnection,
  channel: ssh2.ClientChannel,
  { input, output, errors }: CommandStreams,
  signal: AbortSignal,
): Promise<SessionReport> {
  let end: SessionEnd | undefined;
  let gone: Error | undefined;
  let bytesUp = 0;
  channel.on('error', () => {});
  const onGone = (error: Error) => {
    gone ??= error;
    channel.close();
  };
  const closed = new Promise<void>((resolve) => {
    // Not the event `exit`: it may come in the same read as the channel, before anybody listens.
    channel.once('close', (code?: number | null, name?: string) => {
      if (typeof code === 'number') end = { code };
      else if (typeof name === 'string') end = { signal: name.replace(/^SIG/, '') };
      resolve();
    });
  });
  const down: readonly Pump[] = [pump(channel, output, onGone), pump(channel.stderr, errors, onGone)];
  const countUp = (chunk: Buffer) => {
    bytesUp += chunk.length;
  };
  if (input) {
    input.on('data', countUp);
    input.pipe(channel);
  } else channel.end();
  try {
    await unlessAborted(Promise.race([closed, connection.closed]), signal);
    await unlessAborted(Promise.all(down.map(({ ended }) => ended)), signal);
  } catch (error) {
    channel.close();
    throw error;
  } finally {
    if (input) {
      input.off('data', countUp);
      input.unpipe(channel);
      input.pause();
    }
    for (const each of down) each.stop();
  }
  if (gone) throw new CloudtunError('CT_OUTPUT', 'the output cannot be written', { cause: gone });
  if (end) return { end, bytesUp, bytesDown: down.reduce((sum, each) => sum + each.byteCount(), 0) };
  throw connection.failure ?? noResult(connection);
}

function noResult({ server }: SshConnection): CloudtunError {
  return new CloudtunError('CT_TUNNEL_LOST', `the session on ${server.label} ended without a result`, {
    hint: 'the sshd closed it: look at its log on the machine',
  });
}

import { Duplex } from 'node:stream';
import type ssh2 from 'ssh2';
import type { TunnelStream } from '../domain/dialer.ts';
import type { SshConnection } from './ssh-connection.ts';

/**
 * A forwarded connection as a stream of a tunnel. A channel of ssh2 is no good one by itself: it cannot be destroyed with an error, and
 * forgets the callback of a write that comes after the far side closed.
 */
export class ChannelStream extends Duplex implements TunnelStream {
  /** sshd opens the channel after its own connect has succeeded (RFC 4254, section 7.2). */
  readonly accepted: TunnelStream['accepted'] = Promise.resolve('connected');
  readonly #channel: ssh2.Channel;
  #pending: ((error?: Error) => void) | undefined;

  constructor(channel: ssh2.Channel, connection: SshConnection) {
    super({ allowHalfOpen: true });
    this.#channel = channel;
    connection.adopt(this);
    channel.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) channel.pause();
    });
    channel.on('end', () => {
      if (!connection.failure) this.push(null);
    });
    channel.on('error', () => {});
    channel.on('close', () => {
      if (connection.failure) this.destroy(connection.failure);
      else if (this.#pending || !this.writableFinished) this.#endOfFarSide();
    });
    channel.pause();
  }

  override _read(): void {
    this.#channel.resume();
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#pending = done;
    this.#channel.write(chunk, encoding, () => this.#settle());
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#channel.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#settle(error ?? undefined);
    this.#channel.resume();
    this.#channel.close();
    done(error);
  }

  #settle(error?: Error): void {
    const done = this.#pending;
    this.#pending = undefined;
    done?.(error);
  }

  /** The far side closed both directions: what it sent is still handed on, what we send is taken by nobody. */
  #endOfFarSide(): void {
    if (this.readableEnded) this.destroy();
    else this.once('end', () => this.destroy());
    this.#settle();
  }
}

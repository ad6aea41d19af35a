import { Duplex } from 'node:stream';
import type { TunnelStream } from '../domain/dialer.ts';
import { asCloudtunError, type CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import type { Clock } from '../runtime/clock.ts';
import type { ClientReport } from './local-client.ts';
import type { ServedClient } from './service-life.ts';

/**
 * A client inside this process: a stream of the tunnel handed out as it is, without a socket, counted and ended like any other client.
 * Back-pressure is that of the two streams: what nobody reads is not taken from the tunnel.
 */
export class DirectClient implements ServedClient {
  readonly stream: Duplex;
  /** Settles when the stream is closed; never rejects. */
  readonly closed: Promise<ClientReport>;
  onMoved: ((byteCount: number) => void) | undefined;
  readonly #clock: Clock;
  #bytesUp = 0;
  #bytesDown = 0;
  #movedAt: Millis;
  #error: CloudtunError | undefined;

  constructor(clock: Clock, inner: TunnelStream) {
    this.#clock = clock;
    this.#movedAt = clock.now();
    this.stream = new Duplex({
      read: () => void inner.resume(),
      write: (chunk: Buffer, _encoding, done) => {
        this.#bytesUp += chunk.length;
        this.#moved(chunk.length);
        inner.write(chunk, done);
      },
      final: (done) => {
        inner.end(done);
      },
      destroy: (error, done) => {
        inner.destroy(error ?? undefined);
        done(error);
      },
    });
    this.#follow(inner);
    this.closed = new Promise((resolve) => {
      this.stream.once('close', () => {
        resolve({
          bytesUp: this.#bytesUp,
          bytesDown: this.#bytesDown,
          ...(this.#error !== undefined && { error: this.#error }),
        });
      });
    });
  }

  quietFor(): Millis {
    return this.#clock.now() - this.#movedAt;
  }

  moved(): { readonly bytesUp: number; readonly bytesDown: number } {
    return { bytesUp: this.#bytesUp, bytesDown: this.#bytesDown };
  }

  /** A stream has no other way to learn of the end: both sides are closed, without an error where nothing was on its way. */
  end(): void {
    this.stream.destroy();
  }

  cut(): void {
    this.stream.destroy();
  }

  #follow(inner: TunnelStream): void {
    const { stream } = this;
    inner.on('data', (chunk: Buffer) => {
      this.#bytesDown += chunk.length;
      this.#moved(chunk.length);
      if (!stream.push(chunk)) inner.pause();
    });
    inner.pause();
    inner.once('end', () => stream.push(null));
    inner.once('error', (error) => {
      this.#error = asCloudtunError(error);
      stream.destroy(error);
    });
    inner.once('close', () => {
      // After a regular end the reader may still have something to take.
      if (!inner.readableEnded) stream.destroy();
    });
  }

  #moved(byteCount: number): void {
    this.#movedAt = this.#clock.now();
    this.onMoved?.(byteCount);
  }
}

/** A bare `ws` pump of 1,144-byte frames between two processes: what the machine and the library can do without any protocol. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';

/** A data message of 1,024 payload bytes. */
export const FRAME_BYTES = 1144;
const BURST = 64;
const HIGH_WATER_BYTES = 1024 * 1024;

export class WsPump implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #port: number;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.#port = port;
  }

  static async start(): Promise<WsPump> {
    const child = fork(fileURLToPath(new URL('./ws-pump-child.ts', import.meta.url)));
    const [message] = (await once(child, 'message')) as [{ port: number }];
    return new WsPump(child, message.port);
  }

  /** MB/s of payload-sized frames; counts the whole frame. */
  async run(direction: 'up' | 'down', frameCount: number): Promise<number> {
    const socket = new WebSocket(`ws://127.0.0.1:${this.#port}/${direction}?frames=${frameCount}`, {
      perMessageDeflate: false,
      skipUTF8Validation: true,
    });
    // Frames may stand right behind the upgrade: listen before it.
    const received = direction === 'down' ? receiveAll(socket, frameCount) : undefined;
    await once(socket, 'open');
    const began = performance.now();
    await (received ?? sendAll(socket, frameCount));
    const seconds = (performance.now() - began) / 1000;
    socket.terminate();
    return (frameCount * FRAME_BYTES) / 1e6 / seconds;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill();
    await once(this.#child, 'exit');
  }
}

function receiveAll(socket: WebSocket, frameCount: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let received = 0;
  socket.on('message', () => {
    if (++received === frameCount) resolve();
  });
  return promise;
}

async function sendAll(socket: WebSocket, frameCount: number): Promise<void> {
  const frame = Buffer.alloc(FRAME_BYTES, 1);
  const all = once(socket, 'message');
  let sent = 0;
  const step = () => {
    for (let index = 0; index < BURST && sent < frameCount; index++, sent++) socket.send(frame);
    if (sent >= frameCount) return;
    if (socket.bufferedAmount > HIGH_WATER_BYTES) setTimeout(step, 1);
    else setImmediate(step);
  };
  step();
  await all;
}

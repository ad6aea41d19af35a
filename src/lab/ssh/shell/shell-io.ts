import type { Readable, Writable } from 'node:stream';
import type { World } from '../../../runtime/world.ts';
import type { MemoryFiles } from '../core/memory-files.ts';
import type { SshMachine } from '../ssh-machine.ts';

/** The window of somebody's terminal. */
export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** One login's shell: what its commands see and change. */
export interface ShellContext {
  readonly world: Pick<World, 'clock' | 'random'>;
  readonly machine: SshMachine;
  readonly userName: string;
  readonly files: MemoryFiles;
  readonly env: Map<string, string>;
  cwd: string;
  /** Status of the last pipeline. */
  status: number;
  /** Undefined without a terminal; asked anew, for it changes. */
  readonly terminal: () => TerminalSize | undefined;
}

export interface ShellIo {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Ends the command: a signal, Ctrl-C, or the connection is gone. */
  readonly signal: AbortSignal;
}

/** Thrown when nobody reads what a command writes: it ends quietly, as by SIGPIPE. */
export class BrokenPipe extends Error {}

/** Writes, and waits until the next hop took it. @throws BrokenPipe */
export function put(stream: Writable, data: string | Buffer): Promise<void> {
  if (data.length === 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    if (!stream.writable) {
      reject(new BrokenPipe());
      return;
    }
    // A channel that is closed meanwhile never calls back.
    const onClose = () => reject(new BrokenPipe());
    stream.once('close', onClose);
    stream.write(data, (error) => {
      stream.off('close', onClose);
      if (error) reject(new BrokenPipe());
      else resolve();
    });
  });
}

/** Everything up to the end, or until the command is stopped. Leaves the stream usable. */
export async function* bytesOf(stream: Readable, signal: AbortSignal): AsyncGenerator<Buffer> {
  if (stream.readableEnded || stream.destroyed) return;
  const stop = () => stream.emit('lab-stop');
  signal.addEventListener('abort', stop, { once: true });
  try {
    while (true) {
      const chunk: Buffer | string | null = stream.read();
      if (chunk !== null) {
        yield Buffer.from(chunk);
        continue;
      }
      if (signal.aborted || stream.readableEnded || stream.destroyed) return;
      await readable(stream);
      if (signal.aborted) return;
    }
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function readable(stream: Readable): Promise<void> {
  const events = ['readable', 'end', 'close', 'error', 'lab-stop'];
  return new Promise((resolve) => {
    const done = () => {
      for (const event of events) stream.off(event, done);
      resolve();
    };
    for (const event of events) stream.on(event, done);
  });
}

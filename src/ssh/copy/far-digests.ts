import type ssh2 from 'ssh2';
import type { Millis } from '../../domain/millis.ts';
import { unlessAborted } from '../../runtime/deadline.ts';
import type { World } from '../../runtime/world.ts';
import { openChannel } from '../run-command.ts';
import type { SshConnection } from '../ssh-connection.ts';
import { quoted } from './core/far-path.ts';

/** An answer is a digest and a dot; whoever sends more than this without one answers something else. */
const MOST_TEXT = 65_536;
/** A shell that has not answered a word by then is none (guessed: a slow machine with long login scripts). */
const GREETING_LIMIT: Millis = 10_000;
/** Linux has the first, BSD and macOS the second. */
const DIGEST = '{ sha256sum || shasum -a 256; } 2>/dev/null';

/**
 * SHA-256 of files of the far side, by its own programs: one shell there, opened at the first question, that is asked one after the
 * other. A session for each file would cost more than the small ones of a tree are worth, and sshd allows few at once.
 */
export class FarDigests {
  readonly #world: Pick<World, 'clock'>;
  readonly #connection: SshConnection;
  readonly #signal: AbortSignal;
  readonly #waiting: ((digest: string | undefined) => void)[] = [];
  #shell: Promise<ssh2.ClientChannel | undefined> | undefined;
  #text = '';
  #isOver = false;

  constructor(world: Pick<World, 'clock'>, connection: SshConnection, signal: AbortSignal) {
    this.#world = world;
    this.#connection = connection;
    this.#signal = signal;
  }

  /**
   * Of the first bytes of a file, or of all; undefined where that machine cannot tell, or runs no commands.
   *
   * @throws CT_TUNNEL_LOST when the connection is gone; the reason of the signal
   */
  async of(path: string, byteCount?: number): Promise<string | undefined> {
    this.#shell ??= this.#open();
    const shell = await this.#shell;
    if (this.#connection.failure) throw this.#connection.failure;
    if (shell === undefined || this.#isOver) return undefined;
    // Redirected, so that a path that begins with a dash is no option.
    const digest =
      byteCount === undefined ? `${DIGEST} < ${quoted(path)}` : `head -c ${byteCount} < ${quoted(path)} | ${DIGEST}`;
    const answer = new Promise<string | undefined>((resolve) => this.#waiting.push(resolve));
    shell.write(`${digest}; echo .\n`);
    const found = await unlessAborted(answer, this.#signal);
    if (this.#connection.failure) throw this.#connection.failure;
    return found;
  }

  async #open(): Promise<ssh2.ClientChannel | undefined> {
    let shell: ssh2.ClientChannel;
    try {
      // A shell that is known, whatever the user's is; it reads what to do from its input.
      shell = await openChannel(this.#connection, this.#signal, (take) =>
        this.#connection.client.exec('exec sh', take),
      );
    } catch (error) {
      if (this.#signal.aborted || this.#connection.failure) throw error;
      return undefined;
    }
    shell.on('error', () => {});
    shell.stderr.resume();
    shell.on('data', (chunk: Buffer) => this.#read(chunk.toString('latin1')));
    shell.on('close', () => this.#end());
    void this.#connection.closed.then(() => this.#end());
    const greeting = new Promise((resolve) => this.#waiting.push(resolve));
    const limit = this.#world.clock.after(GREETING_LIMIT, () => this.#end());
    shell.write('echo .\n');
    await unlessAborted(greeting, this.#signal).finally(() => limit.cancel());
    return shell;
  }

  #read(text: string): void {
    this.#text += text;
    for (let end = this.#text.search(/^\.\n/m); end !== -1; end = this.#text.search(/^\.\n/m)) {
      const answer = this.#text.slice(0, end);
      this.#text = this.#text.slice(end + 2);
      this.#waiting.shift()?.(/^([0-9a-f]{64})\s/m.exec(answer)?.[1]);
    }
    if (this.#text.length > MOST_TEXT) this.#end();
  }

  #end(): void {
    this.#isOver = true;
    this.#text = '';
    for (const answer of this.#waiting.splice(0)) answer(undefined);
  }
}

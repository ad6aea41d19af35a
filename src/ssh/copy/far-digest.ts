import { Writable } from 'node:stream';
import { CloudtunError } from '../../domain/errors.ts';
import { runCommand } from '../run-command.ts';
import type { SshConnection } from '../ssh-connection.ts';
import { quoted } from './core/far-path.ts';

/** A digest is a line; whoever sends more than this sends no digest. */
const MOST_OUTPUT = 4_096;

/**
 * SHA-256 of a file of the far side, or of its first bytes, by the far side's own programs; undefined where it has none, or no shell.
 *
 * @throws CT_TUNNEL_LOST when the connection is gone; the reason of `signal`
 */
export async function farDigest(
  connection: SshConnection,
  path: string,
  byteCount: number | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  // Redirected, so that a path that begins with a dash is no option. Linux has the first, BSD and macOS the second.
  const digest = '{ sha256sum || shasum -a 256; } 2>/dev/null';
  const script =
    byteCount === undefined ? `${digest} < ${quoted(path)}` : `head -c ${byteCount} < ${quoted(path)} | ${digest}`;
  const output = new ShortText();
  try {
    // In a shell that is known, whatever the user's is.
    const { end } = await runCommand(
      connection,
      `sh -c ${quoted(script)}`,
      { output, errors: new ShortText() },
      signal,
    );
    if (!('code' in end) || end.code !== 0) return undefined;
  } catch (error) {
    if (signal.aborted || connection.failure) throw error;
    // No second session is allowed, or nobody runs commands here.
    if (error instanceof CloudtunError) return undefined;
    throw error;
  }
  return /^([0-9a-f]{64})\s/.exec(output.text)?.[1];
}

/** Keeps the beginning of what it gets. */
class ShortText extends Writable {
  text = '';

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.text.length < MOST_OUTPUT) this.text += chunk.toString('latin1').slice(0, MOST_OUTPUT);
    done();
  }
}

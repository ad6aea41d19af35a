import { CloudtunError } from '../../domain/errors.ts';
import { serverText } from './server-text.ts';

/**
 * Asks a PostgreSQL server whether it is there (PostgreSQL manual, "Message Flow: SSL Session Encryption"), sans I/O. A PostgreSQL
 * server says nothing of itself; SSLRequest is the one question it answers before it knows anything of the client, with one byte:
 * `S` (go on with TLS), `N` (go on without), or an error. Then it waits for what the client does next, so a client that opens with
 * SSLRequest too (libpq, JDBC, node-postgres with TLS) can be given the connection and the byte.
 *
 * When no client comes, closing is harmless: PostgreSQL counts no failures. After `N` it logs nothing; after `S` one line,
 * `could not accept SSL connection`. Left out: GSSENCRequest and direct TLS, which clients do by themselves.
 */
export const SSL_REQUEST: Uint8Array = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/** True when a client's first bytes are the question that was already asked for it. */
export function opensWithSslRequest(firstBytes: Uint8Array): boolean {
  return SSL_REQUEST.length === firstBytes.length && Buffer.compare(SSL_REQUEST, firstBytes) === 0;
}

export interface PostgresAnswer {
  readonly label: 'PostgreSQL';
  readonly tls: boolean;
}

/** ErrorResponse of a server is a few hundred bytes. Guessed with room. */
const MAX_ERROR_LENGTH = 8_192;

/** Waits for the answer to SSLRequest. `where` names the far side in errors. */
export class PostgresAnswerReader {
  readonly #where: string;
  #held: Buffer = Buffer.alloc(0);

  constructor(where: string) {
    this.#where = where;
  }

  /**
   * Takes bytes; gives the answer once it is there.
   *
   * @throws CT_DATABASE_REFUSED with the server's words; CT_REMOTE_UNEXPECTED when this is no PostgreSQL
   */
  receive(bytes: Uint8Array): PostgresAnswer | undefined {
    this.#held = Buffer.concat([this.#held, bytes]).subarray(0, MAX_ERROR_LENGTH);
    const first = this.#held[0];
    if (first === undefined) return undefined;
    if (first === 0x53 /* S */ || first === 0x4e /* N */) return { label: 'PostgreSQL', tls: first === 0x53 };
    if (first !== 0x45 /* E */) throw this.#unexpected();
    if (this.#errorLength() <= this.#held.length) throw this.#refusal();
    return undefined;
  }

  /** What went wrong, when the server closed before its answer was whole: undefined when it said nothing at all. */
  ended(): CloudtunError | undefined {
    return this.#held.length === 0 ? undefined : this.#refusal();
  }

  /** Bytes of the whole error, type byte included. Infinity while that is unknown. */
  #errorLength(): number {
    if (this.#held.length < 5) return Number.POSITIVE_INFINITY;
    const end = this.#held.indexOf(0, 1);
    if (this.#isPlainText()) return end < 0 ? MAX_ERROR_LENGTH : end + 1;
    return Math.min(MAX_ERROR_LENGTH, 1 + this.#held.readUInt32BE(1));
  }

  /** A server that could not even fork sends `E`, a text and a NUL: letters, where a length would begin with zeros. */
  #isPlainText(): boolean {
    return this.#held.length < 5 || this.#held.readUInt32BE(1) > MAX_ERROR_LENGTH;
  }

  #refusal(): CloudtunError {
    this.#held = this.#held.subarray(0, Math.min(this.#held.length, this.#errorLength()));
    const text = this.#isPlainText() ? serverText(this.#held.subarray(1), 512) : this.#messageField();
    return new CloudtunError('CT_DATABASE_REFUSED', `${this.#where} answered with a PostgreSQL error: ${text}`);
  }

  /** The `M` field of an ErrorResponse: fields are a type byte and a NUL-terminated text each. */
  #messageField(): string {
    for (let at = 5; at < this.#held.length && this.#held[at] !== 0; ) {
      const end = this.#held.indexOf(0, at + 1);
      const value = this.#held.subarray(at + 1, end < 0 ? this.#held.length : end);
      if (this.#held[at] === 0x4d /* M */) return serverText(value, 512);
      if (end < 0) break;
      at = end + 1;
    }
    return 'no message';
  }

  #unexpected(): CloudtunError {
    return new CloudtunError('CT_REMOTE_UNEXPECTED', `${this.#where} answers, but not as PostgreSQL does`, {
      hint: 'check the host and port, and that nothing else listens there',
    });
  }
}

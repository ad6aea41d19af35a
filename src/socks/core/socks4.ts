import { CloudtunError } from '../../domain/errors.ts';
import { type ClientRequest, normalHost, type ReaderStep, type RequestReader } from './client-request.ts';

/*
 * The server's half of SOCKS 4 and 4a (the memoranda "SOCKS: A protocol for TCP proxy across firewalls" and "SOCKS 4A"), up to the reply.
 *
 *   request  0  1  version, 4                     reply  0  1  0
 *            1  1  command: 1 CONNECT, 2 BIND            1  1  90 granted, 91 refused or failed
 *            2  2  port, big-endian                      2  6  port and address, of no meaning for CONNECT
 *            4  4  IPv4 address; 0.0.0.x with x ≠ 0: a name follows (4a)
 *            8  …  user id, NUL; not looked at
 *            …  …  the name, NUL
 *
 * Left out on purpose: BIND, and asking an ident server who the user is (92 and 93).
 */

/** Guessed: no user id and no name is longer. */
const TEXT_LIMIT = 255;
const HEAD_LENGTH = 8;

const reply = (code: 90 | 91): Buffer => Buffer.from([0, code, 0, 0, 0, 0, 0, 0]);

export class Socks4Reader implements RequestReader {
  #held: Buffer = Buffer.alloc(0);

  receive(bytes: Buffer): ReaderStep {
    this.#held = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    const held = this.#held;
    if (held.length > 0 && held[0] !== 4) return { request: bad('a SOCKS4 request without its version') };
    if (held.length < HEAD_LENGTH) return {};
    const isNamed = held.readUInt32BE(4) !== 0 && held.readUInt32BE(4) < 256;
    const userEnd = textEnd(held, HEAD_LENGTH);
    if (userEnd === 'too long') return { request: bad('a SOCKS4 user id without an end') };
    if (userEnd === undefined) return {};
    if (!isNamed) return { request: requestOf(held, undefined), rest: held.subarray(userEnd + 1) };
    const nameEnd = textEnd(held, userEnd + 1);
    if (nameEnd === 'too long') return { request: bad('a SOCKS4a name without an end') };
    if (nameEnd === undefined) return {};
    const name = held.toString('latin1', userEnd + 1, nameEnd);
    return { request: requestOf(held, name), rest: held.subarray(nameEnd + 1) };
  }
}

/** Where the NUL is. */
function textEnd(bytes: Buffer, start: number): number | 'too long' | undefined {
  const end = bytes.subarray(start, start + TEXT_LIMIT + 1).indexOf(0);
  if (end >= 0) return start + end;
  return bytes.length - start > TEXT_LIMIT ? 'too long' : undefined;
}

function requestOf(bytes: Buffer, name: string | undefined): ClientRequest {
  if (bytes[1] !== 1) return bad(`SOCKS4 ${bytes[1] === 2 ? 'BIND' : `command ${bytes[1]}`}: only CONNECT is served`);
  const text = name ?? bytes.subarray(4, 8).join('.');
  const host = normalHost(text);
  const port = bytes.readUInt16BE(2);
  if (host === undefined) return bad(`${JSON.stringify(text)} is no host`);
  if (port === 0) return bad('SOCKS4 CONNECT to port 0');
  return {
    kind: 'connect',
    protocol: name === undefined ? 'SOCKS4' : 'SOCKS4a',
    to: { host, port },
    granted: reply(90),
    refused: () => reply(91),
  };
}

function bad(message: string): ClientRequest {
  return { kind: 'bad', error: new CloudtunError('CT_USAGE', message), answer: reply(91) };
}

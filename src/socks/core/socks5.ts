import { CloudtunError } from '../../domain/errors.ts';
import {
  type ClientRequest,
  normalHost,
  type ReaderStep,
  type Refusal,
  type RequestReader,
  refusalOf,
} from './client-request.ts';

/*
 * The server's half of SOCKS 5 (RFC 1928), up to the reply. Without authentication: the port is on loopback, and what may be reached is
 * for the cloud and the rules to say.
 *
 *   greeting   0  1  version, 5        request   0  1  version, 5
 *              1  1  n                           1  1  command: 1 CONNECT, 2 BIND, 3 UDP ASSOCIATE
 *              2  n  methods; 0: none            2  1  reserved
 *   answer     0  1  version, 5                  3  1  address type: 1 IPv4, 3 name (a length byte first), 4 IPv6
 *              1  1  method; 0xff: no            4  …  address, then the port, big-endian
 *
 * Left out on purpose: BIND and UDP ASSOCIATE, which streams of a tunnel cannot carry. The reply's bound address is 0.0.0.0:0, since the
 * far side's own is not known.
 */

const NO_METHOD = Buffer.from([5, 0xff]);
const METHOD_NONE = Buffer.from([5, 0]);
const COMMANDS: Readonly<Record<number, string>> = { 2: 'BIND', 3: 'UDP ASSOCIATE' };

/** RFC 1928, section 6. There is none for "too busy". */
const REPLY: Readonly<Record<Refusal, number>> = {
  failed: 1,
  busy: 1,
  forbidden: 2,
  unreachable: 3,
  silent: 4,
  refused: 5,
};
const REPLY_COMMAND = 7;
const REPLY_ADDRESS = 8;

const reply = (code: number): Buffer => Buffer.from([5, code, 0, 1, 0, 0, 0, 0, 0, 0]);

export class Socks5Reader implements RequestReader {
  #held: Buffer = Buffer.alloc(0);
  #isGreeted = false;

  receive(bytes: Buffer): ReaderStep {
    this.#held = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    if (this.#isGreeted) return this.#request() ?? {};
    const greeting = this.#greeting();
    if (greeting?.request || !greeting) return greeting ?? {};
    this.#isGreeted = true;
    // Some clients do not wait for the answer.
    return { ...greeting, ...this.#request() };
  }

  #greeting(): ReaderStep | undefined {
    const [version, count] = this.#held;
    if (version !== undefined && version !== 5) return bad('a SOCKS5 greeting without its version', Buffer.alloc(0));
    if (count === undefined || this.#held.length < 2 + count) return undefined;
    const methods = this.#held.subarray(2, 2 + count);
    this.#held = this.#held.subarray(2 + count);
    if (methods.includes(0)) return { say: METHOD_NONE };
    return bad('the client insists on SOCKS5 authentication, and this port has none', NO_METHOD);
  }

  #request(): ReaderStep | undefined {
    const held = this.#held;
    if (held.length > 0 && held[0] !== 5) return bad('a SOCKS5 request without its version', reply(REPLY.failed));
    if (held.length < 5) return undefined;
    const length = addressLength(held[3]!, held[4]!);
    if (length === undefined) return bad(`SOCKS5 address type ${held[3]}`, reply(REPLY_ADDRESS));
    const end = 4 + length + 2;
    if (held.length < end) return undefined;
    return { request: requestOf(held.subarray(0, end)), rest: held.subarray(end) };
  }
}

/** How many bytes the address takes, the length byte of a name included. */
function addressLength(type: number, first: number): number | undefined {
  if (type === 1) return 4;
  if (type === 4) return 16;
  return type === 3 ? 1 + first : undefined;
}

function requestOf(bytes: Buffer): ClientRequest {
  const port = bytes.readUInt16BE(bytes.length - 2);
  const address = bytes.subarray(4, -2);
  const command = bytes[1]!;
  if (command !== 1) {
    const name = COMMANDS[command] ?? `command ${command}`;
    return badRequest(`SOCKS5 ${name}: only CONNECT is served`, reply(REPLY_COMMAND));
  }
  const text = addressText(bytes[3]!, address);
  const host = normalHost(text);
  if (host === undefined) return badRequest(`${JSON.stringify(text)} is no host`, reply(REPLY_ADDRESS));
  if (port === 0) return badRequest('SOCKS5 CONNECT to port 0', reply(REPLY.failed));
  return {
    kind: 'connect',
    protocol: 'SOCKS5',
    to: { host, port },
    granted: reply(0),
    refused: (error) => reply(REPLY[refusalOf(error)]),
  };
}

function addressText(type: number, address: Buffer): string {
  if (type === 1) return address.join('.');
  if (type === 3) return address.toString('latin1', 1);
  return Array.from({ length: 8 }, (_, group) => address.readUInt16BE(2 * group).toString(16)).join(':');
}

function badRequest(message: string, answer: Buffer): ClientRequest {
  return { kind: 'bad', error: new CloudtunError('CT_USAGE', message), answer };
}

const bad = (message: string, answer: Buffer): ReaderStep => ({ request: badRequest(message, answer) });

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
 * The server's half of an HTTP/1.1 proxy (RFC 9110, section 9.3.6; RFC 9112, section 3.2), up to the first byte for the far side:
 *
 *   CONNECT host:port       a stream, after `200`
 *   GET http://host/path    the request is handed on in origin form, with `Connection: close`: the stream leads to one host, so the
 *                           next request gets a connection, and a look at the rules, of its own
 *   GET /path               a page of the port's own
 *
 * Left out on purpose: caching, Via, authentication, and `https:` in absolute form, for which clients use CONNECT.
 */

/** Of everything before the body. Guessed: what common servers take. */
const HEAD_LIMIT = 16 * 1024;
const GRANTED = Buffer.from('HTTP/1.1 200 Connection established\r\n\r\n');
/** Headers that speak of the connection to the proxy (RFC 9110, section 7.6.1). */
const OF_THE_HOP = /^(proxy-connection|proxy-authorization|connection|keep-alive|te|upgrade)$/i;

const STATUS: Readonly<Record<Refusal, number>> = {
  forbidden: 403,
  failed: 500,
  refused: 502,
  unreachable: 502,
  busy: 503,
  silent: 504,
};
const PHRASE: Readonly<Record<number, string>> = {
  200: 'OK',
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  421: 'Misdirected Request',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

/** A whole answer, after which the connection is closed. */
export function httpAnswer(
  status: number,
  body: string,
  options: { readonly type?: string; readonly code?: string; readonly isHead?: boolean } = {},
): Buffer {
  const head = [
    `HTTP/1.1 ${status} ${PHRASE[status] ?? 'Error'}`,
    `Content-Type: ${options.type ?? 'text/plain; charset=utf-8'}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    'X-Content-Type-Options: nosniff',
    ...(options.code === undefined ? [] : [`X-Cloudtun-Error: ${options.code}`]),
    'Connection: close',
  ];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${options.isHead ? '' : body}`);
}

interface Head {
  readonly method: string;
  readonly target: string;
  readonly version: string;
  readonly headers: readonly string[];
}

export class HttpReader implements RequestReader {
  #held: Buffer = Buffer.alloc(0);

  receive(bytes: Buffer): ReaderStep {
    // What was looked at before need not be looked at again, but for an end that was cut in two.
    const from = Math.max(0, this.#held.length - 3);
    this.#held = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    const end = this.#held.indexOf('\r\n\r\n', from);
    if (end < 0 && this.#held.length <= HEAD_LIMIT) return {};
    if (end < 0 || end > HEAD_LIMIT) return { request: bad(431, 'the head of an HTTP request is too long') };
    return requestOf(this.#held.toString('latin1', 0, end), this.#held.subarray(end + 4));
  }
}

function requestOf(text: string, rest: Buffer): ReaderStep {
  const [line = '', ...headers] = text.split('\r\n');
  const [, method, target, version] = /^([A-Z]{1,20}) ([\x21-\x7e]+) HTTP\/(1\.[01])$/.exec(line) ?? [];
  if (method === undefined || target === undefined || version === undefined) {
    return { request: bad(400, 'neither SOCKS nor an HTTP request') };
  }
  if (headers.some((header) => !/^[\w!#$%&'*+.^`|~-]+:[^\0\r\n]*$/.test(header))) {
    return { request: bad(400, 'a malformed header of an HTTP request') };
  }
  const head = { method, target, version, headers };
  if (method === 'CONNECT') return { request: connectRequest(target, 443, GRANTED), rest };
  return target.startsWith('/') ? { request: pageRequest(head) } : absoluteRequest(head, rest);
}

/** @param authority `host:port`, `[IPv6]:port`; the port may be left out where there is a usual one */
function connectRequest(authority: string, usualPort: number, granted: Buffer): ClientRequest {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(authority) ?? [];
  const host = normalHost(bracketed ?? plain ?? '');
  const port = digits === undefined ? usualPort : Number(digits);
  if (host === undefined || port < 1 || port > 65_535)
    return bad(400, `${JSON.stringify(authority)} is no host and port`);
  return {
    kind: 'connect',
    protocol: 'HTTP',
    to: { host, port },
    granted,
    refused: (error) =>
      httpAnswer(STATUS[refusalOf(error)], `${error.message} (${error.code})\n`, { code: error.code }),
  };
}

function absoluteRequest({ method, target, version, headers }: Head, rest: Buffer): ReaderStep {
  const [, authority, path = '/'] = /^http:\/\/([^/?#@]+)([/?].*)?$/i.exec(target) ?? [];
  if (authority === undefined)
    return { request: bad(400, `${JSON.stringify(target.slice(0, 100))} cannot be proxied`) };
  const request = connectRequest(authority, 80, Buffer.alloc(0));
  const kept = headers.filter((header) => !OF_THE_HOP.test(nameOf(header)) && nameOf(header).toLowerCase() !== 'host');
  const lines = [
    `${method} ${path.startsWith('?') ? '/' : ''}${path} HTTP/${version}`,
    `Host: ${authority}`,
    ...kept,
    'Connection: close',
  ];
  return { request, rest: Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), rest]) };
}

function pageRequest({ method, target, headers }: Head): ClientRequest {
  if (method !== 'GET' && method !== 'HEAD') return bad(405, `${method} is not served here`);
  const host =
    headers
      .find((header) => nameOf(header).toLowerCase() === 'host')
      ?.slice('host:'.length)
      .trim() ?? '';
  const path = target.replace(/[?#].*$/, '');
  return { kind: 'page', path, host: host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1'), isHead: method === 'HEAD' };
}

const nameOf = (header: string) => header.slice(0, header.indexOf(':'));

function bad(status: number, message: string): ClientRequest {
  const error = new CloudtunError('CT_USAGE', message);
  return { kind: 'bad', error, answer: httpAnswer(status, `${message}\n`, { code: error.code }) };
}

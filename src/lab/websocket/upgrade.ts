/** The HTTP half of a websocket (RFC 6455, 4.2): accepting an upgrade, and refusing one with a status. */
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

const ACCEPT_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** What is wrong with the request as a websocket upgrade; undefined: nothing. */
export function upgradeFault(request: IncomingMessage): string | undefined {
  const { upgrade, 'sec-websocket-key': key, 'sec-websocket-version': version } = request.headers;
  if (request.method !== 'GET') return `method ${request.method}`;
  if (upgrade?.toLowerCase() !== 'websocket') return 'no websocket upgrade';
  if (version !== '13') return 'another websocket version than 13';
  if (key === undefined || !/^[+/0-9A-Za-z]{22}==$/.test(key)) return 'no websocket key';
  return undefined;
}

/** Answers 101, without extensions. @param subprotocol the one that was chosen of those offered */
export function acceptUpgrade(request: IncomingMessage, socket: Duplex, subprotocol?: string): void {
  const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}${ACCEPT_GUID}`).digest('base64');
  if ('setNoDelay' in socket && typeof socket.setNoDelay === 'function') socket.setNoDelay(true);
  if ('setTimeout' in socket && typeof socket.setTimeout === 'function') socket.setTimeout(0);
  socket.write(
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      `Sec-WebSocket-Accept: ${accept}\r\n` +
      (subprotocol === undefined ? '\r\n' : `Sec-WebSocket-Protocol: ${subprotocol}\r\n\r\n`),
  );
}

const STATUS_TEXT: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  407: 'Proxy Authentication Required',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

/** @param requestId as services of AWS name their answers */
export function refuseUpgrade(socket: Duplex, status: number, message: string, requestId?: string): void {
  const body = JSON.stringify({ message });
  socket.on('error', () => {});
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_TEXT[status] ?? 'Refused'}\r\nContent-Type: application/json\r\n` +
      (requestId === undefined ? '' : `x-amzn-RequestId: ${requestId}\r\n`) +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

/** The far end of a websocket, by hand: bytes of frames cut anywhere, also such as no server would send. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';

const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

export interface RawWebsocket {
  readonly url: string;
  readonly server: Server;
  /** The connection, when the client has asked for its upgrade. */
  readonly socket: Promise<Socket>;
}

/** A server on loopback that answers the upgrade of one client. @param behind bytes in the same write as the answer */
export async function rawWebsocket(behind: Buffer = Buffer.alloc(0)): Promise<RawWebsocket> {
  const { promise, resolve } = Promise.withResolvers<Socket>();
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.once('data', (request: Buffer) => {
      const key = /sec-websocket-key: (.+)\r\n/i.exec(request.toString('latin1'))![1]!;
      const accept = createHash('sha1').update(`${key}${ACCEPT_SUFFIX}`).digest('base64');
      const head = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
      socket.write(Buffer.concat([Buffer.from(head), behind]));
      resolve(socket);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('not bound');
  return { url: `ws://127.0.0.1:${address.port}/`, server, socket: promise };
}

/** A frame of a server. @param first FIN, reserved bits and opcode */
export function rawFrame(first: number, payload: Buffer): Buffer {
  const { length } = payload;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = first;
  if (length < 126) head[1] = length;
  else if (length < 65_536) {
    head[1] = 126;
    head.writeUInt16BE(length, 2);
  } else {
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  return Buffer.concat([head, payload]);
}

import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type Socket,
  type Server as TcpServer,
} from 'node:net';
import type { SelfSigned } from './self-signed-certificate.ts';

type Teardown = { after(call: () => Promise<void>): void };

/** Listens on loopback, any port; destroys what is still open when the test is over. */
export async function listening(test: Teardown, server: Server | TcpServer): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  test.after(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => void server.close(() => resolve()));
  });
  return (server.address() as AddressInfo).port;
}

export interface TestProxy {
  readonly port: number;
  /** `CONNECT host:port` and `GET http://…`, in order. */
  readonly asked: string[];
  readonly authorizations: (string | undefined)[];
}

/**
 * An HTTP proxy that sends everything to one local port, whatever the name asked for: so a test can use names that do not exist.
 *
 * @param refuse answers each CONNECT with this status instead
 */
export async function testProxy(
  test: Teardown,
  to: () => number,
  options: { readonly refuse?: number; readonly tls?: SelfSigned } = {},
): Promise<TestProxy> {
  const asked: string[] = [];
  const authorizations: (string | undefined)[] = [];
  const note = (request: IncomingMessage) => {
    asked.push(`${request.method} ${request.url}`);
    authorizations.push(request.headers['proxy-authorization']);
  };
  const server =
    options.tls === undefined
      ? createServer()
      : createTlsServer({ key: options.tls.keyPem, cert: options.tls.certificatePem });
  server.on('request', (request: IncomingMessage, response) => {
    note(request);
    response.end('forwarded');
  });
  server.on('connect', (request: IncomingMessage, client: Socket) => {
    note(request);
    if (options.refuse !== undefined) {
      client.end(`HTTP/1.1 ${options.refuse} No\r\ncontent-length: 9\r\n\r\nno access`);
      return;
    }
    const upstream = connect(to(), '127.0.0.1', () => client.write('HTTP/1.1 200 OK\r\n\r\n'));
    upstream.on('error', () => client.destroy());
    client.on('error', () => upstream.destroy());
    upstream.pipe(client).pipe(upstream);
  });
  return { port: await listening(test, server), asked, authorizations };
}

/** A SOCKS5 proxy (RFC 1928, no authentication) that sends everything to one local port and notes the name it was given. */
export async function testSocksProxy(test: Teardown, to: () => number): Promise<TestProxy> {
  const asked: string[] = [];
  const server = createTcpServer((client) => {
    client.once('data', () => {
      client.write(Buffer.from([5, 0]));
      client.once('data', (request: Buffer) => {
        const nameLength = request[4]!;
        const name = request[3] === 3 ? request.subarray(5, 5 + nameLength).toString() : `address type ${request[3]}`;
        asked.push(`${name}:${request.readUInt16BE(request.length - 2)}`);
        const upstream = connect(to(), '127.0.0.1', () => {
          client.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]));
          upstream.pipe(client).pipe(upstream);
        });
        upstream.on('error', () => client.destroy());
      });
    });
  });
  return { port: await listening(test, server), asked, authorizations: [] };
}

import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { CloudtunError } from '../domain/errors.ts';
import type { LabService, LoopbackAddress } from './loopback-services.ts';

/**
 * The small servers that stand for what runs on the practice machines, started on first use, one for each machine and service:
 *
 * - `web`: a page that says which machine it is; `/healthz` too
 * - `echo`: gives back every byte, half-closes when the peer does
 * - `discard`: reads and says nothing
 * - `silent`: accepts and never reads, to see back-pressure
 * - `chargen`: sends lines of printable characters as fast as they are taken
 */
export class NodeServices implements AsyncDisposable {
  readonly #servers = new Map<string, { readonly server: Server; readonly ready: Promise<LoopbackAddress> }>();
  readonly #sockets = new Set<Socket>();

  address(machine: string, service: LabService): Promise<LoopbackAddress> {
    const key = `${machine}/${service}`;
    let entry = this.#servers.get(key);
    if (entry === undefined) {
      const server = serverFor(machine, service);
      server.on('connection', (socket: Socket) => {
        this.#sockets.add(socket);
        socket.once('close', () => this.#sockets.delete(socket));
      });
      entry = { server, ready: listen(server) };
      this.#servers.set(key, entry);
    }
    return entry.ready;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const servers = [...this.#servers.values()];
    this.#servers.clear();
    const closed = servers.map(({ server }) => new Promise<void>((resolve) => server.close(() => resolve())));
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(closed);
  }
}

function listen(server: Server): Promise<LoopbackAddress> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => reject(new CloudtunError('CT_LAB_FAILED', 'a lab service has no port', { cause })));
    server.listen(0, '127.0.0.1', () => resolve({ host: '127.0.0.1', port: (server.address() as AddressInfo).port }));
  });
}

function serverFor(machine: string, service: LabService): Server {
  if (service === 'web') return webServer(machine);
  // The lab must outlive whatever its peers do.
  const ignoreErrors = (socket: Socket) => socket.on('error', () => {});
  switch (service) {
    case 'echo':
      return createServer({ allowHalfOpen: true }, (socket) => ignoreErrors(socket).pipe(socket));
    case 'discard':
      return createServer((socket) => void ignoreErrors(socket).resume());
    case 'silent':
      return createServer({ pauseOnConnect: true }, ignoreErrors);
    case 'chargen':
      return createServer((socket) => generate(ignoreErrors(socket)));
  }
}

const PRINTABLE = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index)).join('');
const LINE_LENGTH = 72;

/** RFC 864: every line starts one character later. */
function generate(socket: Socket): void {
  const ring = PRINTABLE + PRINTABLE;
  const block = Buffer.from(
    Array.from({ length: PRINTABLE.length }, (_, start) => `${ring.slice(start, start + LINE_LENGTH)}\r\n`).join(''),
  );
  const fill = () => {
    while (socket.writable && socket.write(block));
  };
  socket.on('drain', fill);
  socket.resume();
  socket.once('end', () => socket.end());
  fill();
}

function webServer(machine: string): Server {
  return createHttpServer((request, response) => {
    if (request.url === '/healthz') {
      response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
      return;
    }
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
    response.end(
      `<!doctype html><title>${machine}</title><h1>${machine}</h1><p>You reached the practice machine ${machine}.</p>\n`,
    );
  });
}

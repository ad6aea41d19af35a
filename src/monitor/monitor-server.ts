import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import type { LocalEndpoint } from '../domain/endpoint.ts';
import { asCloudtunError, CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { isLoopbackAddress } from '../runtime/loopback.ts';
import type { World } from '../runtime/world.ts';
import { openListener } from '../transport/listener.ts';
import { type MonitoredSet, notReady } from './monitored.ts';

/** A probe or a scraper says what it wants at once. */
const REQUEST_LIMIT: Millis = 5_000;
/** A few probes and scrapers; what comes beyond is closed. */
const CONNECTION_LIMIT = 64;

export interface MonitorOptions {
  readonly at: LocalEndpoint;
  readonly version: string;
  look(): MonitoredSet;
}

export interface MonitorServer extends AsyncDisposable {
  readonly local: readonly LocalEndpoint[];
}

/**
 * Serves `/healthz`, `/readyz` and `/metrics` over HTTP. Reads only, tells no secret, and has nothing to log in to: it belongs on
 * loopback, or in a network where whoever reaches it may know names and figures of tunnels.
 *
 * @throws CT_PORT_BUSY, CT_BIND
 */
export async function openMonitor(world: World, options: MonitorOptions): Promise<MonitorServer> {
  const server = createServer({ requestTimeout: REQUEST_LIMIT, headersTimeout: REQUEST_LIMIT }, (request, response) => {
    request.resume();
    answer(request, response, options).catch((error: unknown) => {
      world.log.warn(`the monitor could not answer: ${asCloudtunError(error).message}`);
      if (response.headersSent) response.destroy();
      else say(response, 500, 'text/plain', 'error\n');
    });
  });
  server.keepAliveTimeout = REQUEST_LIMIT;
  let open = 0;
  const listener = await openListener(world, {
    bind: [options.at.host],
    port: options.at.port,
    reach: 'read how your tunnels are',
    onConnection: (socket) => {
      if (open >= CONNECTION_LIMIT) return void socket.destroy();
      open += 1;
      socket.once('close', () => {
        open -= 1;
      });
      server.emit('connection', socket);
      socket.resume();
    },
  });
  return {
    local: listener.local,
    [Symbol.asyncDispose]: async () => {
      await listener[Symbol.asyncDispose]();
      server.closeAllConnections();
    },
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, options: MonitorOptions): Promise<void> {
  if (!isOwnName(request, options.at)) return say(response, 421, 'text/plain', 'this is not the host that was asked\n');
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    return say(response, 405, 'text/plain', 'only GET and HEAD\n');
  }
  const [path] = (request.url ?? '/').split('?', 1);
  switch (path) {
    case '/healthz':
      return say(response, 200, 'text/plain', 'ok\n');
    case '/readyz': {
      const reasons = notReady(options.look());
      const body = { ready: reasons.length === 0, reasons };
      return say(response, reasons.length === 0 ? 200 : 503, 'application/json', `${JSON.stringify(body)}\n`);
    }
    case '/metrics': {
      const { metricsText } = await import('./metrics.ts');
      const { contentType, text } = await metricsText(options.look(), options.version);
      return say(response, 200, contentType, text);
    }
    default:
      return say(response, 404, 'text/plain', 'there are /healthz, /readyz and /metrics\n');
  }
}

/** On loopback, a page in a browser must not read it under a name of its own that leads here. */
function isOwnName({ headers }: IncomingMessage, at: LocalEndpoint): boolean {
  if (!isLoopbackAddress(at.host) && at.host !== 'localhost') return true;
  const name = (headers.host ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  return name === 'localhost' || isIP(name) !== 0;
}

function say(response: ServerResponse, status: number, type: string, text: string): void {
  const length = Buffer.byteLength(text);
  response.writeHead(status, { 'content-type': type, 'content-length': length, 'cache-control': 'no-store' });
  // Node leaves the body out of an answer to HEAD.
  response.end(text);
}

/**
 * `9464`, `127.0.0.1:9464`, `[::1]:9464`, `0.0.0.0:9464`; a port alone is on 127.0.0.1.
 *
 * @throws CT_USAGE
 */
export function parseMonitorAddress(text: string): LocalEndpoint {
  const [, bracketed, plain, port = ''] = /^(?:(?:\[([^\]]+)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain ?? '127.0.0.1';
  const isAddress = isIP(host) !== 0 || host === 'localhost' || host === '*';
  if (port !== '' && Number(port) <= 65_535 && isAddress) return { host, port: Number(port) };
  throw new CloudtunError('CT_USAGE', `--serve "${text}" is no port or address with a port`, {
    hint: 'for example: --serve 9464, or --serve 127.0.0.1:9464',
  });
}

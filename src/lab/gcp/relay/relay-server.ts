/**
 * The tunnel service of Identity-Aware Proxy on loopback: TLS, upgrade, session table (docs/protocol/iap.md). What a token may do and
 * what is behind a target is asked of the lab.
 *
 * ```ts
 * await using relay = await startRelay({ world, certificates, faults, checkToken, resolve });
 * relay.root; // wss://127.0.0.1:4711/v4
 * ```
 */
import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createSecureContext, TLSSocket } from 'node:tls';
import { CloudtunError } from '../../../domain/errors.ts';
import { isLoopbackAddress } from '../../../runtime/loopback.ts';
import type { World } from '../../../runtime/world.ts';
import { acceptUpgrade, refuseUpgrade, upgradeFault } from '../../websocket/upgrade.ts';
import type { RelayCertificates } from './certificates.ts';
import { bearerOf, headerViolations, offersSubprotocol, readRequest, SUBPROTOCOL } from './core/relay-request.ts';
import type { TokenVerdict } from './relay-desk.ts';
import { RelayDesk, type RelayDeskOptions } from './relay-desk.ts';

export interface RelayServerOptions extends RelayDeskOptions {
  readonly world: Pick<World, 'clock' | 'random' | 'log'>;
  readonly certificates: RelayCertificates;
}

export interface RelayServer extends AsyncDisposable {
  readonly port: number;
  /** `wss://127.0.0.1:4711/v4` */
  readonly root: string;
  readonly desk: RelayDesk;
}

/** @throws CT_LAB_FAILED when the port cannot be had */
export async function startRelay(options: RelayServerOptions): Promise<RelayServer> {
  const desk = new RelayDesk(options);
  const raws = new WeakMap<Duplex, Socket>();
  const sockets = new Set<Socket>();
  const http = createHttpServer((_request, response) => {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('the relay takes websockets only\n');
  });
  http.on('upgrade', (request, socket, head) => upgrade(options, desk, request, socket, head, raws.get(socket)));
  let secureContext: ReturnType<typeof createSecureContext> | undefined;
  const server = createServer({ noDelay: true }, (raw) => {
    if (!isLoopbackAddress(raw.remoteAddress ?? '')) return void raw.destroy();
    sockets.add(raw);
    raw.once('close', () => sockets.delete(raw));
    raw.on('error', () => {});
    const { certificatePem: cert, keyPem: key } = options.certificates;
    secureContext ??= createSecureContext({ cert, key, minVersion: 'TLSv1.2' });
    const secure = new TLSSocket(raw, { isServer: true, secureContext });
    secure.on('error', () => {});
    raws.set(secure, raw);
    http.emit('connection', secure);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new CloudtunError('CT_LAB_FAILED', 'the lab has no port for its relay', { cause })),
    );
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    root: `wss://127.0.0.1:${port}/v4`,
    desk,
    async [Symbol.asyncDispose]() {
      if (!server.listening) return;
      desk[Symbol.dispose]();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const raw of sockets) raw.destroy();
      await closed;
    },
  };
}

function upgrade(
  { faults, checkToken }: RelayServerOptions,
  desk: RelayDesk,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  raw: Socket | undefined,
): void {
  const read = readRequest(request.url ?? '');
  const isReconnect = read !== undefined && typeof read.request === 'object' && read.request.kind === 'reconnect';
  const refuse = (status: number, message: string) => {
    desk.note(request, `${status}`);
    desk.totals.refusedUpgrades += 1;
    refuseUpgrade(socket, status, message);
  };
  const plan = faults.plan();
  const fault = upgradeFault(request);
  if (read === undefined) return refuse(404, 'not found');
  if (fault !== undefined) return refuse(400, fault);
  for (const what of [...headerViolations(request.headers), ...read.violations]) desk.violation('upgrade', what);
  if (!offersSubprotocol(request.headers)) {
    desk.violation('upgrade', 'the subprotocol is not offered');
    return refuse(400, 'the subprotocol is missing');
  }
  const knob = isReconnect ? 'refuseReconnects' : 'refuseConnects';
  if (faults.strikes(knob, plan[knob].times)) return refuse(plan[knob].status, 'a fault of the lab');
  if (typeof read.request === 'string') return refuse(400, read.request);
  const token = bearerOf(request.headers.authorization);
  const verdict: TokenVerdict = token === undefined ? { ok: false, why: 'no token' } : checkToken(token);
  if (!verdict.ok && plan.wrongToken === 'http-401') return refuse(401, `invalid token: ${verdict.why}`);
  acceptUpgrade(request, socket, SUBPROTOCOL);
  desk.note(request, '101');
  const isSilent = request.headers.origin === undefined || faults.strikes('silentUpgrades', plan.silentUpgrades);
  const reset = () => {
    raw?.resetAndDestroy();
    socket.destroy();
  };
  desk.admit({ request: read.request, verdict, token: token ?? '', isSilent, socket, head, reset });
}

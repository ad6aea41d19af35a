/** A message gateway on a loopback port, with targets of the test's choice behind it, closed when the test is over. */
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { FaultBoard, type FaultPatch } from '../../src/lab/aws/faults.ts';
import { createGateway, type Gateway, type GatewayOptions } from '../../src/lab/aws/gateway.ts';
import { type SessionGrant, type SessionRequest, SessionStore } from '../../src/lab/aws/sessions.ts';
import type { Destination, DestinationQuery } from '../../src/lab/destination.ts';
import { systemWorld, type World } from '../../src/runtime/world.ts';

export interface After {
  after(call: () => Promise<void>): void;
}

export interface GatewayLab {
  readonly gateway: Gateway;
  readonly sessions: SessionStore;
  readonly faults: FaultBoard;
  readonly port: number;
  /** StartSession for a port of the node `i-1`. */
  start(properties?: Readonly<Record<string, string>>, request?: Partial<SessionRequest>): SessionGrant;
  /** ResumeSession that must succeed. */
  resume(sessionId: string): SessionGrant;
}

export interface GatewayLabOptions {
  readonly world?: World;
  readonly faults?: FaultPatch;
  /** A port of this machine, or what becomes of a dial. */
  readonly target?: number | ((query: DestinationQuery) => Destination);
  readonly gateway?: Partial<GatewayOptions>;
}

export async function gatewayLab(test: After, options: GatewayLabOptions = {}): Promise<GatewayLab> {
  const world = options.world ?? systemWorld({ env: {} });
  const faults = new FaultBoard(options.faults);
  const server = createHttpServer();
  const sessions = new SessionStore({
    world,
    streamBase: () => `ws://127.0.0.1:${portOf(server)}`,
    resumeVerdict: (session) => faults.resumeVerdict(session),
    cellNumber: () => faults.cellNumber(),
  });
  const { target } = options;
  const gateway = createGateway({
    world,
    sessions,
    faults,
    resolveDestination: (query) =>
      typeof target === 'function' ? target(query) : { kind: 'address', host: '127.0.0.1', port: target ?? query.port },
    ...options.gateway,
  });
  server.on('upgrade', (request, socket, head) => {
    if (!gateway.handleUpgrade(request, socket, head)) socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  test.after(async () => {
    await gateway[Symbol.asyncDispose]();
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return {
    gateway,
    sessions,
    faults,
    port: portOf(server),
    start: (properties, request) =>
      sessions.start({
        targetId: 'i-1',
        owner: 'alice',
        documentName: 'AWS-StartPortForwardingSession',
        sessionType: 'Port',
        agentVersion: '3.3.1142.0',
        properties: { localPortNumber: '0', portNumber: '80', type: 'LocalPortForwarding', ...properties },
        ...request,
      }),
    resume: (sessionId) => {
      const answer = sessions.resume(sessionId);
      if (answer.outcome !== 'resumed') throw new Error(`the resume was ${answer.outcome}`);
      return answer.grant;
    },
  };
}

/** A TCP server on a loopback port. */
export async function tcpTarget(test: After, onConnection: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  test.after(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return portOf(server);
}

/** Says back what it hears, and ends when the other side does. */
export function echo(socket: Socket): void {
  socket.pipe(socket);
}

function portOf(server: Server | ReturnType<typeof createHttpServer>): number {
  return (server.address() as AddressInfo).port;
}

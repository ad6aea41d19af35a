import { isIP, type Socket } from 'node:net';
import type { OpenedTunnel } from '../broker/broker-types.ts';
import type { TunnelStream } from '../domain/dialer.ts';
import { formatEndpoint, type LocalEndpoint, type RemoteEndpoint } from '../domain/endpoint.ts';
import { asCloudtunError, type CloudtunError } from '../domain/errors.ts';
import type { TunnelEvent } from '../domain/tunnel-event.ts';
import type { CloseReason, ServiceStatus } from '../forward/forward-types.ts';
import { type ClientReport, LocalClient } from '../forward/local-client.ts';
import { ServiceLife } from '../forward/service-life.ts';
import { unlessAborted } from '../runtime/deadline.ts';
import type { World } from '../runtime/world.ts';
import { openListener } from '../transport/listener.ts';
import type { LocalMemory } from '../transport/local-memory.ts';
import type { PeerWatch } from '../transport/peer-watch.ts';
import { reset } from '../transport/splice.ts';
import { readRequest, sayLast } from './converse.ts';
import type { ConnectRequest, PageRequest } from './core/client-request.ts';
import { httpAnswer } from './core/http-connect.ts';
import { DestinationCounts } from './destination-counts.ts';
import { dialChecked } from './dial-checked.ts';
import { PAC_PATH, PAC_TYPE, pacFile } from './pac-file.ts';
import { isItself, objectionTo } from './rules.ts';
import type { RunningSocks, SocksPlan, SocksReport } from './socks-types.ts';

/** Clients that are served at the same time; one more is reset. Guessed: several browsers, and far below what a process may open. */
const CLIENT_LIMIT = 4_096;

export interface SocksContext {
  readonly world: World;
  readonly peers: PeerWatch;
  readonly memory: LocalMemory;
}

/**
 * Serves SOCKS 5, SOCKS 4 and 4a, and HTTP proxying on one port, over a tunnel that dials whatever clients name. Resolves as soon as the
 * port is bound; clients that come before the target is found wait.
 *
 * @throws CT_PORT_BUSY, CT_BIND: then nothing stays bound and nothing was asked of the cloud
 */
export async function openSocks(context: SocksContext, plan: SocksPlan): Promise<RunningSocks> {
  const server = new SocksServer(context, plan);
  await server.bind();
  server.start();
  return server;
}

class SocksServer implements RunningSocks {
  local: readonly LocalEndpoint[] = [];
  readonly ready: Promise<void>;
  readonly closed: Promise<SocksReport>;
  readonly #context: SocksContext;
  readonly #plan: SocksPlan;
  readonly #life: ServiceLife;
  readonly #counts = new DestinationCounts();
  readonly #opened = Promise.withResolvers<OpenedTunnel>();

  constructor(context: SocksContext, plan: SocksPlan) {
    this.#context = context;
    this.#plan = plan;
    this.#life = new ServiceLife(context.world, { limits: plan.limits, onEvent: plan.onEvent });
    this.ready = this.#life.ready;
    this.closed = this.#life.closed.then((report) => ({ ...report, destinations: this.#counts.list() }));
  }

  async bind(): Promise<void> {
    const onConnection = (socket: Socket) => this.#accept(socket);
    const listener = await openListener(this.#context.world, { ...this.#plan.listen, onConnection });
    this.local = this.#life.listeners.use(listener).local;
  }

  start(): void {
    this.#life.start(
      (signal) => this.#plan.open((event) => this.#onTunnelEvent(event), signal),
      async (opened) => {
        this.#life.startLimits();
        const { local } = this;
        const pacUrl = `http://${formatEndpoint(local[0]!)}${PAC_PATH}`;
        const { expiresAt } = this.#life;
        this.#plan.onEvent({ type: 'serving', local, target: opened.target, pacUrl, expiresAt });
        this.#opened.resolve(opened);
      },
    );
  }

  status(): ServiceStatus {
    return this.#life.status();
  }

  drain(because: CloseReason): void {
    this.#life.drain(because);
  }

  cut(because: CloseReason): void {
    this.#life.cut(because);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut('ended');
    await this.closed;
  }

  #onTunnelEvent(event: TunnelEvent): void {
    this.#life.note(event);
    this.#plan.onEvent({ type: 'tunnel', event });
  }

  #accept(socket: Socket): void {
    if (this.#life.isEnding || this.#life.clientCount >= CLIENT_LIMIT) {
      reset(socket);
      return;
    }
    const { world, peers, memory } = this.#context;
    const client = new LocalClient(world, peers, memory, socket);
    const visit = new Visit(client.from);
    void this.#life.admit(
      client,
      () => client.serve((_, signal) => this.#serve(socket, visit, signal), false),
      (report) => this.#left(visit, report),
    );
  }

  async #serve(socket: Socket, visit: Visit, signal: AbortSignal): Promise<TunnelStream | undefined> {
    const { clock } = this.#context.world;
    const request = await readRequest(socket, clock, signal);
    switch (request.kind) {
      case 'bad':
        visit.error = request.error;
        await sayLast(socket, request.answer, clock);
        throw request.error;
      case 'page':
        await sayLast(socket, this.#page(request, socket), clock);
        return undefined;
      case 'connect':
        return this.#connect(socket, visit, request, signal);
    }
  }

  async #connect(socket: Socket, visit: Visit, request: ConnectRequest, signal: AbortSignal): Promise<TunnelStream> {
    const { clock } = this.#context.world;
    const { host, port } = request.to;
    const to: RemoteEndpoint = isItself(host) ? { port } : { host, port };
    visit.asked = to;
    try {
      const objection = objectionTo(this.#plan.rules, host);
      if (objection) throw objection;
      const opened = await unlessAborted(this.#opened.promise, signal);
      this.#dialled(visit, opened, to);
      const stream = await dialChecked(opened.dialer, to, clock, signal);
      if (request.granted.length > 0) socket.write(request.granted);
      return stream;
    } catch (thrown) {
      if (!signal.aborted) {
        visit.error = asCloudtunError(thrown);
        await sayLast(socket, request.refused(visit.error), clock);
      }
      throw thrown;
    }
  }

  #dialled(visit: Visit, opened: OpenedTunnel, to: RemoteEndpoint): void {
    visit.dialled = { opened, to, connection: this.#life.connected() };
    this.#tell(visit, 'connected', { bytesUp: 0, bytesDown: 0 });
  }

  #left(visit: Visit, told: ClientReport): void {
    const { dialled, asked, from } = visit;
    // A client that closes after it was refused has left as well, which is not why it got no stream.
    const error = visit.error ?? told.error;
    const report = { ...told, ...(error && { error }) };
    if (dialled) {
      this.#counts.add(dialled.to, report);
      this.#tell(visit, 'closed', report);
    } else if (error && error.code !== 'CT_INTERRUPTED') {
      this.#plan.onEvent({ type: 'refused', from, ...(asked && { to: asked }), error });
    }
  }

  #tell(visit: Visit, change: 'connected' | 'closed', { bytesUp, bytesDown, error }: ClientReport): void {
    const { from, dialled } = visit;
    const { opened, to, connection } = dialled!;
    const facts = { change, from, to, bytesUp, bytesDown, ...(error && { error }) };
    opened.client(facts);
    this.#plan.onEvent({ type: 'client', connection, clients: this.#life.clientCount, ...facts });
  }

  #page({ path, host, isHead }: PageRequest, socket: Socket): Buffer {
    // The file tells names of a private network: a web page whose name was turned to this address must not read it.
    const isOurs = isIP(host) !== 0 || isItself(host.toLowerCase());
    if (!isOurs) return httpAnswer(421, 'this port is asked for by its address\n', { isHead });
    if (path !== PAC_PATH) return httpAnswer(404, `nothing here but ${PAC_PATH}\n`, { isHead });
    const { localAddress = '127.0.0.1', localPort = 0 } = socket;
    const body = pacFile({ host: localAddress, port: localPort }, this.#plan.rules);
    return httpAnswer(200, body, { type: PAC_TYPE, isHead });
  }
}

/** A connection of a client: what became known of it. */
class Visit {
  readonly from: string;
  asked: RemoteEndpoint | undefined;
  error: CloudtunError | undefined;
  dialled: { readonly opened: OpenedTunnel; readonly to: RemoteEndpoint; readonly connection: number } | undefined;

  constructor(from: string) {
    this.from = from;
  }
}

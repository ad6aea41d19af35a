import type { Dialer, TunnelStream } from '../domain/dialer.ts';
import type { RemoteEndpoint } from '../domain/endpoint.ts';
import type { CloudtunError } from '../domain/errors.ts';
import type { Intervals } from '../domain/intervals.ts';
import type { Millis } from '../domain/millis.ts';
import { type NodeTarget, type Route, type Target, targetLabel } from '../domain/target.ts';
import type { TunnelEventListener } from '../domain/tunnel-event.ts';
import type { AuditTrail } from './audit-trail.ts';
import type { BrokerContext, OpenedTunnel, TunnelFigures, TunnelRequest } from './broker-types.ts';
import { isHopless, isRefusedLogin, newTrail } from './brokered-tunnel.ts';
import { HopDialer } from './hop-dialer.ts';
import type { Chain } from './login-way.ts';
import { requestedEndpoints } from './route.ts';

/** A tunnel over logins. What lies below is a tunnel of its own, which dials anything that its machine reaches. */
export class ChainedTunnel implements OpenedTunnel {
  readonly target: OpenedTunnel['target'];
  readonly identity: OpenedTunnel['identity'];
  readonly routes: readonly Route[];
  readonly dialer: Dialer;
  readonly lost: Promise<CloudtunError>;
  readonly client: OpenedTunnel['client'];
  readonly denied: OpenedTunnel['denied'];
  readonly runs: OpenedTunnel['runs'];
  readonly ended: OpenedTunnel['ended'];
  readonly #context: BrokerContext;
  readonly #base: OpenedTunnel;
  readonly #node: NodeTarget;
  readonly #chain: Chain;
  readonly #hops: readonly HopDialer[];
  readonly #trail: AuditTrail;
  readonly #startedAt: Millis;
  readonly #isAnywhere: boolean;
  readonly #intervals: Intervals | undefined;
  #tellLost: (error: CloudtunError) => void = () => {};

  /** @param base owned from now on */
  constructor(
    context: BrokerContext,
    request: TunnelRequest,
    base: OpenedTunnel,
    chain: Chain,
    onEvent: TunnelEventListener,
  ) {
    this.#context = context;
    this.#base = base;
    this.#node = base.target as NodeTarget;
    this.#chain = chain;
    this.identity = base.identity;
    this.#isAnywhere = request.kind === 'machine' && request.anywhere === true;
    this.#intervals = request.intervals;
    this.#startedAt = context.world.clock.now();
    this.#trail = newTrail(context, request, base.identity);
    this.client = (record) => this.#trail.client(record);
    this.denied = (error) => this.#trail.denied(error, this.routes[0]);
    this.runs = (program) => this.#trail.runs(program);
    this.ended = (record) => this.#trail.ended(record);
    this.lost = new Promise((resolve) => {
      this.#tellLost = resolve;
    });
    this.target = endOf(chain, this.#node);
    this.#hops = this.#logins((event) => {
      this.#trail.tunnel(event);
      onEvent(event);
    });
    this.routes = requestedEndpoints(request, this.target).map((to) => this.#route(to));
    this.dialer = {
      dial: (to, signal) => this.#dial(to, signal),
      [Symbol.asyncDispose]: () => this.#close(),
    };
  }

  /** Of the tunnel below: what goes through the logins goes through it. */
  stats(): TunnelFigures {
    return this.#base.stats();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dialer[Symbol.asyncDispose]();
    const duration = this.#context.world.clock.now() - this.#startedAt;
    this.#trail.ended({ reason: 'ended', duration, connections: 0, bytesUp: 0, bytesDown: 0 });
    await this.#base[Symbol.asyncDispose]();
  }

  async #dial(to: RemoteEndpoint, signal: AbortSignal): Promise<TunnelStream> {
    this.#trail.opening(this.#route(to));
    try {
      return await (this.#hops.at(-1) ?? this.#base.dialer).dial(this.#seen(to), signal);
    } catch (thrown) {
      if (isRefusedLogin(thrown)) this.#trail.denied(thrown, this.#route(to));
      if (isHopless(thrown) && !this.#isAnywhere) this.#tellLost(thrown);
      throw thrown;
    }
  }

  /** Each over the one before it. */
  #logins(onEvent: TunnelEventListener): readonly HopDialer[] {
    const { world, provider, openHop, wake } = this.#context;
    const dialers: HopDialer[] = [];
    for (const { target, address, user, port } of this.#chain.hops) {
      const before = dialers.at(-1) ?? this.#base.dialer;
      const sshd: Pick<Dialer, 'dial'> = {
        dial: (to, signal) => before.dial({ host: address, port: to.port }, signal),
      };
      const server = { provider, target, port, ...(user !== undefined && { user }) };
      const options = { name: targetLabel(target), onEvent, intervals: this.#intervals, wake };
      dialers.push(new HopDialer(world, (signal) => openHop(server, sshd, onEvent, signal), options));
    }
    return dialers;
  }

  /** An endpoint as the last machine that is logged in to sees it. */
  #seen(to: RemoteEndpoint): RemoteEndpoint {
    const { end } = this.#chain;
    return end.kind === 'machine' && to.host === undefined ? { host: end.found.address, port: to.port } : to;
  }

  #route(to: RemoteEndpoint): Route {
    return chainRoute(this.#chain, this.#node, to);
  }

  async #close(): Promise<void> {
    for (const hop of [...this.#hops].reverse()) await hop[Symbol.asyncDispose]();
  }
}

function endOf({ hops, end }: Chain, node: NodeTarget): Target {
  switch (end.kind) {
    case 'database':
      return end.target;
    case 'machine':
      return end.found.target;
    case 'hop':
      return hops.at(-1)?.target ?? node;
  }
}

/** The way along a chain to one endpoint. @param node where the cloud's own tunnel ends */
export function chainRoute(chain: Chain, node: NodeTarget, to: RemoteEndpoint): Route {
  const hops = chain.hops.map(({ target }) => targetLabel(target));
  const reasons = [`${targetLabel(node)} by the tunnel`, ...hops.map((hop) => `${hop} by a login`)];
  return { provider: node.provider, target: endOf(chain, node), node, to, hops, reasons, rejected: [] };
}

import type { RemoteEndpoint } from '../../domain/endpoint.ts';
import type { CloudtunError } from '../../domain/errors.ts';
import type { NodeTarget, Route } from '../../domain/target.ts';
import type { IapHost, IapInstance, IapRelayTicket, TicketSource } from '../../domain/ticket.ts';
import type { World } from '../../runtime/world.ts';
import { clientCertificate } from './client-certificate.ts';
import { diagnose, surelyUnreachable } from './diagnose.ts';
import type { GcpApi } from './gcp-api.ts';
import { relayRoot } from './relay.ts';
import type { MintedToken } from './token-clients.ts';

/** A node as the relay's query names it (docs/protocol/iap.md, "Targets"). */
export function relayTarget(node: NodeTarget): IapInstance | IapHost {
  if (node.kind === 'host') {
    const { project, region, networkId: network, host, group } = node;
    return { kind: 'host', project, region, network, host, ...(group === undefined ? {} : { group }) };
  }
  const [project = '', zone = '', instance = ''] = node.id.split('/');
  return { kind: 'instance', project, zone, instance, networkInterface: node.networkInterface ?? 'nic0' };
}

/**
 * Permission to open websockets to the relay along one route: an access token, new when it is about to end or was refused. The cloud
 * keeps no session that somebody would have to end.
 */
export class IapTicketSource implements TicketSource<IapRelayTicket> {
  readonly kind = 'iap-relay';
  readonly #world: World;
  readonly #api: GcpApi;
  readonly #route: Route;
  readonly #reason: string | undefined;
  #certificate: Promise<IapRelayTicket['clientCertificate']> | undefined;

  constructor(world: World, api: GcpApi, route: Route, reason: string | undefined) {
    this.#world = world;
    this.#api = api;
    this.#route = route;
    this.#reason = reason;
  }

  async issue(to: RemoteEndpoint, signal: AbortSignal): Promise<IapRelayTicket> {
    return this.#ticket(await this.#api.tokens.current(signal), to);
  }

  async renew(ticket: IapRelayTicket, signal: AbortSignal): Promise<IapRelayTicket> {
    return this.#ticket(await this.#api.tokens.fresh(signal), ticket.to);
  }

  async release(): Promise<void> {}

  whySilent(to: RemoteEndpoint, signal: AbortSignal): Promise<CloudtunError | undefined> {
    return surelyUnreachable(this.#world, this.#api, { node: this.#route.node, port: to.port }, signal);
  }

  diagnose(error: CloudtunError, to: RemoteEndpoint, signal: AbortSignal): Promise<CloudtunError> {
    return diagnose(this.#world, this.#api, { node: this.#route.node, port: to.port }, error, signal);
  }

  async #ticket({ token }: MintedToken, to: RemoteEndpoint): Promise<IapRelayTicket> {
    const { settings } = this.#api;
    this.#certificate ??= clientCertificate(this.#world, settings);
    const certificate = await this.#certificate;
    return {
      kind: this.kind,
      root: relayRoot(this.#world.env, settings.universe, certificate !== undefined),
      target: relayTarget(this.#route.node),
      token,
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
      ...(certificate === undefined ? {} : { clientCertificate: certificate }),
      to,
    };
  }
}

import { CloudtunError } from '../../domain/errors.ts';
import type { Route } from '../../domain/target.ts';
import type { IapRelayTicket, TicketSource } from '../../domain/ticket.ts';
import type { World } from '../../runtime/world.ts';
import type { AccessExplanation, Gatekeeper, Identity, SessionOptions } from '../provider.ts';
import { tunnelPermission, tunnelResource } from './diagnose.ts';
import type { GcpApi } from './gcp-api.ts';
import { relayRoot } from './relay.ts';
import { IapTicketSource } from './tickets.ts';
import type { Whoami } from './whoami.ts';

export class GcpGatekeeper implements Gatekeeper {
  readonly #world: World;
  readonly #api: GcpApi;
  readonly #whoami: Whoami;

  constructor(world: World, api: GcpApi, whoami: Whoami) {
    this.#world = world;
    this.#api = api;
    this.#whoami = whoami;
  }

  whoami(signal: AbortSignal): Promise<Identity> {
    return this.#whoami.identity(signal);
  }

  /**
   * @throws CT_USAGE for a document, or a reason that is no header, CT_CONFIG when CLOUDTUN_IAP_ENDPOINT is no relay
   */
  ticketSource(route: Route, options: SessionOptions): TicketSource<IapRelayTicket> {
    if (options.document !== undefined) {
      throw new CloudtunError('CT_USAGE', 'Google Cloud has no Session documents', { hint: 'leave out --document' });
    }
    const { settings } = this.#api;
    relayRoot(this.#world.env, settings.universe, false);
    return new IapTicketSource(this.#world, this.#api, route, reasonHeader(options.reason ?? settings.requestReason));
  }

  explain(route: Route, options: SessionOptions): AccessExplanation {
    if (options.document !== undefined) {
      throw new CloudtunError('CT_USAGE', 'Google Cloud has no Session documents', { hint: 'leave out --document' });
    }
    return { actions: [{ action: tunnelPermission(route.node), resource: tunnelResource(route.node) }] };
  }

  /** Sessions of the relay end with their connection. */
  async endSession(): Promise<void> {}
}

/** Kept in the audit log. @throws CT_USAGE */
function reasonHeader(reason: string | undefined): string | undefined {
  if (reason === undefined) return undefined;
  if (reason.length < 1 || reason.length > 256) {
    throw new CloudtunError('CT_USAGE', `the reason has ${reason.length} characters`, { hint: 'use 1 to 256 of them' });
  }
  // It travels as a header: what lies outside of ASCII is percent-encoded, as in gcloud's own.
  return /^[\x20-\x7e]+$/.test(reason) ? reason : encodeURIComponent(reason).replace(/%20/g, ' ');
}

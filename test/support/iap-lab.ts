/** A lab, a workload server on a port of its machine `web-1`, and tunnels to it through the relay: what tests of the IAP transport stand on. */
import { Agent } from 'node:https';
import type { RemoteEndpoint } from '../../src/domain/endpoint.ts';
import { Secret } from '../../src/domain/secret.ts';
import type { IapRelayTicket, TicketSource } from '../../src/domain/ticket.ts';
import type { TunnelEvent } from '../../src/domain/tunnel-event.ts';
import type { RelayPatch } from '../../src/lab/gcp/relay/relay-faults.ts';
import { USER_SCOPES } from '../../src/lab/gcp/token-store.ts';
import { type Lab, startLab } from '../../src/lab/lab.ts';
import { systemWorld, type World } from '../../src/runtime/world.ts';
import { openTunnel, type TunnelOptions } from '../../src/transport/dialers.ts';
import type { Tunnel } from '../../src/transport/tunnel.ts';
import { WorkloadServer } from './workload-server.ts';

export const IAP_WORKLOAD_PORT = 9000;
const TO = { port: IAP_WORKLOAD_PORT };
const TARGET = {
  kind: 'instance',
  project: 'acme-practice',
  zone: 'asia-northeast1-a',
  instance: 'web-1',
  networkInterface: 'nic0',
} as const;

/** Tickets of one person of the lab, without a provider. Counts the tokens it was asked to get anew. */
export class LabRelayTickets implements TicketSource<IapRelayTicket> {
  readonly kind = 'iap-relay';
  readonly #lab: Lab;
  readonly #email: string;
  readonly #target: IapRelayTicket['target'];
  #token: Secret;
  renewals = 0;

  constructor(lab: Lab, options: { readonly email?: string; readonly target?: IapRelayTicket['target'] } = {}) {
    this.#lab = lab;
    this.#email = options.email ?? 'alice@example.com';
    this.#target = options.target ?? TARGET;
    this.#token = this.#newToken();
  }

  async issue(to: RemoteEndpoint): Promise<IapRelayTicket> {
    return { kind: this.kind, root: this.#lab.gcp.relayRoot, target: this.#target, token: this.#token, to };
  }

  async renew(ticket: IapRelayTicket): Promise<IapRelayTicket> {
    this.renewals += 1;
    this.#token = this.#newToken();
    return { ...ticket, token: this.#token };
  }

  async release(): Promise<void> {}

  #newToken(): Secret {
    return new Secret(this.#lab.gcp.tokens.issue(this.#email, USER_SCOPES).token);
  }
}

export interface IapLab extends AsyncDisposable {
  readonly lab: Lab;
  readonly workload: WorkloadServer;
  readonly events: TunnelEvent[];
  readonly tickets: LabRelayTickets;
  open(
    options?: Partial<TunnelOptions> & { readonly to?: RemoteEndpoint; readonly source?: TicketSource<IapRelayTicket> },
  ): Promise<Tunnel>;
}

/** @param clientWorld the world of the tunnels; the lab always has the real one */
export async function iapLab(faults: RelayPatch = {}, clientWorld: World = systemWorld()): Promise<IapLab> {
  const workload = await WorkloadServer.start();
  const lab = await startLab(systemWorld(), { gcp: { faults } });
  lab.gcp.network.attach(TARGET.instance, IAP_WORKLOAD_PORT, workload.address);
  const events: TunnelEvent[] = [];
  const tunnels: Tunnel[] = [];
  const tickets = new LabRelayTickets(lab);
  const ca = [lab.gcp.authorityPem];
  const agent = new Agent({ ca, keepAlive: true });
  return {
    lab,
    workload,
    events,
    tickets,
    async open({ to = TO, source = tickets, ...options } = {}) {
      const tunnel = await openTunnel(
        clientWorld,
        source,
        to,
        { network: { agentFor: () => agent, ca }, onEvent: (event) => events.push(event), ...options },
        new AbortController().signal,
      );
      tunnels.push(tunnel);
      return tunnel;
    },
    async [Symbol.asyncDispose]() {
      for (const tunnel of tunnels) await tunnel[Symbol.asyncDispose]();
      agent.destroy();
      await lab[Symbol.asyncDispose]();
      await workload[Symbol.asyncDispose]();
    },
  };
}

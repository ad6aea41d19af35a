import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { RemoteEndpoint } from '../../src/domain/endpoint.ts';
import type { SsmSessionTicket, TicketSource } from '../../src/domain/ticket.ts';
import type { FaultPatch } from '../../src/lab/aws/faults.ts';
import type { RelayPatch } from '../../src/lab/gcp/relay/relay-faults.ts';
import { systemWorld } from '../../src/runtime/world.ts';
import { openTunnel, type TunnelOptions } from '../../src/transport/dialers.ts';
import type { Tunnel } from '../../src/transport/tunnel.ts';
import { labTickets } from '../support/lab-tickets.ts';

export const BASTION_ID = 'i-0a1b2c3d4e5f60001';

/** The workload server stands behind the name of the database `orders`; `prod` is the lab's own. */
export const WORKLOAD_PORT = 5432;
/** Where the workload server stands behind the IAP relay. */
export const GCP_PROJECT = 'acme-practice';
export const GCP_ZONE = 'asia-northeast1-a';
export const GCP_MACHINE = 'web-1';
export const IAP_WORKLOAD_PORT = 9000;

interface Greeting {
  readonly url: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of the database `orders`. */
  readonly host: string;
  /** Host name of each database, by its id. */
  readonly hosts: Readonly<Record<string, string>>;
  readonly target: { readonly host: string; readonly port: number };
  readonly env: Readonly<Record<string, string>>;
  readonly gcp: { readonly relayRoot: string; readonly authorityFile: string; readonly accessToken: string };
}

export interface LabReport {
  readonly counters: Readonly<Record<string, number>>;
  readonly relayCounters: Readonly<Record<string, number>>;
  readonly relayViolations: readonly string[];
  readonly violations: readonly string[];
  /** Sessions that nobody ended yet. */
  readonly sessions: readonly string[];
  readonly cpuMs: number;
}

/** The lab in its own process; tunnels to its workload server are opened in ours. */
export class LabProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly greeting: Greeting;

  private constructor(child: ChildProcess, greeting: Greeting) {
    this.#child = child;
    this.greeting = greeting;
  }

  /** `workload`: the workload server stands behind the name of the database `orders`; `practice`: the lab as users have it; `ssh`: Debian's sshd. */
  static async start(kind: 'workload' | 'practice' | 'ssh' = 'workload'): Promise<LabProcess> {
    const child = fork(fileURLToPath(new URL('./lab-child.ts', import.meta.url)), [kind]);
    const [greeting] = (await once(child, 'message')) as [Greeting];
    return new LabProcess(child, greeting);
  }

  async setFaults(faults: FaultPatch): Promise<void> {
    await this.#ask({ faults });
  }

  async setRelayFaults(relayFaults: RelayPatch): Promise<void> {
    await this.#ask({ relayFaults });
  }

  report(): Promise<LabReport> {
    return this.#ask({ status: true });
  }

  async #ask(message: object): Promise<LabReport> {
    const answer = once(this.#child, 'message');
    this.#child.send(message);
    return ((await answer) as [LabReport])[0];
  }

  /** What a session to the workload server needs. */
  tickets(): { readonly source: TicketSource<SsmSessionTicket>; readonly to: RemoteEndpoint } {
    const { url, region, accessKeyId, secretAccessKey, host } = this.greeting;
    return {
      source: labTickets({ endpoint: url, region, credentials: { accessKeyId, secretAccessKey } }, BASTION_ID),
      to: { host, port: WORKLOAD_PORT },
    };
  }

  /** A tunnel to the workload server, through Session Manager. */
  openTunnel(options: Partial<TunnelOptions> = {}): Promise<Tunnel> {
    const { source, to } = this.tickets();
    const network = { agentFor: () => undefined, ca: undefined };
    return openTunnel(
      systemWorld(),
      source,
      to,
      { network, onEvent: () => {}, ...options },
      new AbortController().signal,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.disconnect();
    await exited;
  }
}

/** What `test/contract/transport.test.ts` needs to know of each transport: how to open it on the lab, and how the lab breaks it. */
import type { CloudTarget } from '../../src/domain/target.ts';
import type { Ticket } from '../../src/domain/ticket.ts';
import type { TunnelEvent } from '../../src/domain/tunnel-event.ts';
import { type Lab, type LabOptions, startLab } from '../../src/lab/lab.ts';
import { Lifetime } from '../../src/runtime/lifetime.ts';
import { systemWorld } from '../../src/runtime/world.ts';
import { openTunnel } from '../../src/transport/dialers.ts';
import type { Tunnel } from '../../src/transport/tunnel.ts';
import { PROVIDER_ROWS, type ProviderRow } from './provider-rows.ts';
import { WorkloadServer } from './workload-server.ts';

export interface TransportRow {
  readonly kind: Ticket['kind'];
  /** Whose tickets it takes. */
  readonly provider: ProviderRow;
  /** Four cuts each way in a session, one each time so many bytes have passed; without cuts no pace that makes transfers slow. */
  cuts(everyBytes: number): LabOptions;
  /** Conversations that the lab still has open. */
  openSessions(lab: Lab): number;
  /** Rules of the protocol that the client broke. */
  violations(lab: Lab): readonly unknown[];
  cutCount(lab: Lab): number;
}

const cutsAt = (everyBytes: number) => ({ bytes: [1, 2, 3, 4].map((times) => times * everyBytes) });

const rowOf = (cloud: string) => PROVIDER_ROWS.find((row) => row.cloud === cloud)!;

export const TRANSPORT_ROWS: readonly TransportRow[] = [
  {
    kind: 'ssm-session',
    provider: rowOf('aws'),
    cuts: (everyBytes) => ({
      faults: {
        // An agent that floods and then has a gap to fill repeats one message each 100 ms: with cuts it keeps its usual pace.
        pacing: everyBytes > 0,
        ...(everyBytes > 0 && { cutInput: cutsAt(everyBytes), cutOutput: cutsAt(everyBytes) }),
      },
    }),
    openSessions: (lab) => lab.sessions.list('Active').length,
    violations: (lab) => lab.gateway.violations(),
    cutCount: (lab) => lab.gateway.counters().cuts,
  },
  {
    kind: 'iap-relay',
    provider: rowOf('gcp'),
    cuts: (everyBytes) => ({
      gcp: {
        faults: everyBytes > 0 ? { cutInput: cutsAt(everyBytes), cutOutput: cutsAt(everyBytes) } : {},
      },
    }),
    openSessions: (lab) => lab.gcp.relay.openSessions().length,
    violations: (lab) => lab.gcp.relay.violations(),
    cutCount: (lab) => lab.gcp.relay.counters().cuts,
  },
];

export interface OpenTransport extends AsyncDisposable {
  readonly lab: Lab;
  readonly workload: WorkloadServer;
  readonly events: TunnelEvent[];
  /** To the row's database, behind which the workload server stands. */
  toDatabase(): Promise<Tunnel>;
  /** To a port of the row's machine. */
  toMachine(port: number): Promise<Tunnel>;
}

const signal = new AbortController().signal;

/** @param home an empty directory */
export async function openTransport(row: TransportRow, home: string, everyBytes = 0): Promise<OpenTransport> {
  const lifetime = new Lifetime();
  try {
    return await build(row, home, everyBytes, lifetime);
  } catch (error) {
    await lifetime[Symbol.asyncDispose]();
    throw error;
  }
}

async function build(row: TransportRow, home: string, everyBytes: number, lifetime: Lifetime): Promise<OpenTransport> {
  const workload = lifetime.use(await WorkloadServer.start());
  const databases = { prod: workload.address, orders: workload.address };
  const world = systemWorld({ env: {} });
  const lab = lifetime.use(await startLab(world, { databases, ...row.cuts(everyBytes) }));
  const provider = lifetime.use(await row.provider.as(lab, 'allowed', home));
  const { finder, gatekeeper } = provider;
  const network = provider.network ?? { agentFor: () => undefined, ca: undefined };
  const events: TunnelEvent[] = [];
  const onEvent = (event: TunnelEvent) => events.push(event);
  const open = async (target: CloudTarget, port: number) => {
    const route = await finder.routeTo(target, port, {}, signal);
    return openTunnel(world, gatekeeper.ticketSource(route, {}), route.to, { network, onEvent }, signal);
  };
  return {
    lab,
    workload,
    events,
    toDatabase: async () => {
      const database = await finder.findDatabase(row.provider.database.id, {}, signal);
      return open(database, database.endpoint.port);
    },
    toMachine: async (port) => open(await finder.findMachine(row.provider.machine.id, {}, signal), port),
    [Symbol.asyncDispose]: () => lifetime[Symbol.asyncDispose](),
  };
}

/** A lab, a workload server behind the name of its database `prod`, and tunnels to it: what fault tests of the transport stand on. */
import type { RemoteEndpoint } from '../../src/domain/endpoint.ts';
import type { TunnelEvent } from '../../src/domain/tunnel-event.ts';
import type { FaultPatch } from '../../src/lab/aws/faults.ts';
import { type Lab, startLab } from '../../src/lab/lab.ts';
import { systemWorld, type World } from '../../src/runtime/world.ts';
import { openTunnel, type TunnelOptions } from '../../src/transport/dialers.ts';
import type { Tunnel } from '../../src/transport/tunnel.ts';
import { clientOptions } from './aws-lab.ts';
import { labTickets } from './lab-tickets.ts';
import { WorkloadServer } from './workload-server.ts';

export const BASTION_ID = 'i-0a1b2c3d4e5f60001';
/** Agent 3.0.150.0: basic mode. */
export const OLD_AGENT_ID = 'i-0a1b2c3d4e5f60004';

export interface TransportLab extends AsyncDisposable {
  readonly lab: Lab;
  readonly workload: WorkloadServer;
  readonly events: TunnelEvent[];
  open(
    options?: Partial<TunnelOptions> & { readonly targetId?: string; readonly to?: RemoteEndpoint },
  ): Promise<Tunnel>;
}

/** @param clientWorld the world of the tunnels; the lab always has the real one */
export async function transportLab(faults: FaultPatch = {}, clientWorld: World = systemWorld()): Promise<TransportLab> {
  const world = systemWorld();
  const workload = await WorkloadServer.start();
  const lab = await startLab(world, { faults, databases: { prod: workload.address } });
  const prod = lab.inventory.databases.find(({ id }) => id === 'prod');
  if (prod === undefined) throw new RangeError('the practice account has no database prod');
  const events: TunnelEvent[] = [];
  const tunnels: Tunnel[] = [];
  return {
    lab,
    workload,
    events,
    async open({ targetId = BASTION_ID, to = { host: prod.host, port: prod.port }, ...options } = {}) {
      const tunnel = await openTunnel(
        clientWorld,
        labTickets(clientOptions(lab), targetId),
        to,
        { network: { agentFor: () => undefined, ca: undefined }, onEvent: (event) => events.push(event), ...options },
        new AbortController().signal,
      );
      tunnels.push(tunnel);
      return tunnel;
    },
    async [Symbol.asyncDispose]() {
      for (const tunnel of tunnels) await tunnel[Symbol.asyncDispose]();
      await lab[Symbol.asyncDispose]();
      await workload[Symbol.asyncDispose]();
    },
  };
}

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Lab } from '../../src/lab/lab.ts';
import { until } from './until.ts';

/** A practice machine on which remote forwards are looked at. */
export interface FarMachine {
  /** As `cloudtun` is told. */
  readonly target: string;
  /** What its own processes find on one of its ports. */
  port(lab: Lab, port: number): { readonly host: string; readonly port: number } | undefined;
}

const WEB = 'i-0a1b2c3d4e5f60003';
const WEB_G = '4100000000000000001';

/** One in each cloud, with nothing on port 8080. */
export const FAR_MACHINES: readonly FarMachine[] = [
  { target: 'aws:web-1', port: (lab, port) => lab.network.ports.find(WEB, port, false) },
  { target: 'gcp:web-1', port: (lab, port) => lab.gcp.network.ports.find(WEB_G, port, false) },
];

/**
 * A connection of a process on the machine to one of its own ports.
 *
 * @param from the address it comes from, of 127.0.0.0/8
 */
export async function callFarPort(lab: Lab, machine: FarMachine, port: number, from = '127.0.0.1'): Promise<Socket> {
  await until(() => machine.port(lab, port) !== undefined);
  const socket = connect({ ...machine.port(lab, port)!, localAddress: from, allowHalfOpen: true });
  await once(socket, 'connect');
  return socket;
}

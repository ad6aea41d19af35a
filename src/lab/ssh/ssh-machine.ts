import type { Destination } from '../destination.ts';
import type { LoopbackAddress } from '../loopback-services.ts';

export type MachineSystem = 'amazon-linux' | 'ubuntu' | 'debian';

/** A practice machine as its sshd sees it; each cloud makes them of its inventory, and every question is asked anew. */
export interface SshMachine {
  /** Unique in the lab: `aws/i-…`, `gcp/4100…`. Host key and files hang on it. */
  readonly id: string;
  readonly name: string;
  readonly system: MachineSystem;
  /** Whether the owner of a public key may log in under a name. */
  admits(userName: string, key: Buffer): boolean;
  /** What a connection from this machine meets, by the machine's own resolver and firewalls. */
  reach(host: string, port: number): Promise<Destination>;
  /** Listens on a port of the machine for a remote forward; undefined when it is taken. Returns how to stop. */
  bind(port: number, address: LoopbackAddress, loopbackOnly: boolean): (() => void) | undefined;
}

/** `Amazon Linux 2023`, and what `uname -a` says. */
export const SYSTEMS: Readonly<Record<MachineSystem, { readonly title: string; readonly kernel: string }>> = {
  'amazon-linux': { title: 'Amazon Linux 2023', kernel: '6.1.147-172.266.amzn2023.aarch64' },
  ubuntu: { title: 'Ubuntu 24.04.3 LTS', kernel: '6.14.0-1011-aws' },
  debian: { title: 'Debian GNU/Linux 12 (bookworm)', kernel: '6.1.0-38-cloud-amd64' },
};

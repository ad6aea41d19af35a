import type { LoopbackAddress } from '../loopback-services.ts';
import type { AdmittedKeys } from '../ssh/admitted-keys.ts';
import type { LabSshd } from '../ssh/lab-sshd.ts';
import type { MachineSystem, SshMachine } from '../ssh/ssh-machine.ts';
import type { Inventory, LabInstance } from './inventory.ts';
import type { LabNetwork } from './network.ts';

/** An Amazon machine image, as far as a user name can be guessed from it. */
export interface LabImage {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly ownerId: string;
  readonly ownerAlias: string;
  /** Who logs in by default. */
  readonly userName: string;
}

export const IMAGES: Readonly<Record<MachineSystem, LabImage>> = {
  'amazon-linux': {
    id: 'ami-0a1b2c3d4e5f60001',
    name: 'al2023-ami-2023.8.20250915.0-kernel-6.1-arm64',
    description: 'Amazon Linux 2023 AMI 2023.8.20250915.0 arm64 HVM kernel-6.1',
    ownerId: '137112412989',
    ownerAlias: 'amazon',
    userName: 'ec2-user',
  },
  ubuntu: {
    id: 'ami-0a1b2c3d4e5f60002',
    name: 'ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-20250821',
    description: 'Canonical, Ubuntu, 24.04, arm64 noble image',
    ownerId: '099720109477',
    ownerAlias: 'amazon',
    userName: 'ubuntu',
  },
  debian: {
    id: 'ami-0a1b2c3d4e5f60003',
    name: 'debian-12-arm64-20250814-2204',
    description: 'Debian 12 (20250814-2204)',
    ownerId: '136693071363',
    ownerAlias: 'amazon',
    userName: 'admin',
  },
};

export const systemOf = (instance: Pick<LabInstance, 'system'>): MachineSystem => instance.system ?? 'amazon-linux';

/** In the lab's sshd; the same numbers may be in use on both clouds. */
export const awsMachineId = (instanceId: string): string => `aws/${instanceId}`;

/** The sshd of the EC2 instances. */
export class AwsSsh {
  readonly #parts: {
    readonly sshd: LabSshd;
    readonly keys: AdmittedKeys;
    readonly inventory: () => Inventory;
    readonly network: () => LabNetwork;
  };

  constructor(parts: {
    readonly sshd: LabSshd;
    readonly keys: AdmittedKeys;
    readonly inventory: () => Inventory;
    readonly network: () => LabNetwork;
  }) {
    this.#parts = parts;
  }

  /** Where an instance's port 22 is; undefined when nobody listens. */
  address(instanceId: string): Promise<LoopbackAddress> | undefined {
    const { sshd, inventory } = this.#parts;
    const found = inventory().instances.find(({ id }) => id === instanceId);
    return found === undefined ? undefined : sshd.address(this.#machine(found));
  }

  #machine(instance: LabInstance): SshMachine {
    const { keys, network } = this.#parts;
    const system = systemOf(instance);
    const users = [IMAGES[system].userName, 'root', ...(instance.users ?? [])];
    return {
      id: awsMachineId(instance.id),
      name: instance.name,
      system,
      admits: (userName, key) => users.includes(userName) && keys.has(awsMachineId(instance.id), userName, key),
      reach: (host, port) => network().resolve({ targetId: instance.id, host, port }),
      bind: (port, address, loopbackOnly) =>
        instance.services[port] === undefined
          ? network().ports.bind(instance.id, port, { address, loopbackOnly })
          : undefined,
    };
  }
}

import type { Millis } from '../../domain/millis.ts';
import type { LoopbackAddress } from '../loopback-services.ts';
import type { AdmittedKeys } from '../ssh/admitted-keys.ts';
import type { LabSshd } from '../ssh/lab-sshd.ts';
import type { SshMachine } from '../ssh/ssh-machine.ts';
import type { GcpLabNetwork } from './gcp-network.ts';
import type { GcpIam } from './iam/gcp-iam.ts';
import type { GcpInstance, GcpInventory } from './inventory.ts';
import { isOn, metadataAdmits } from './metadata-keys.ts';
import type { OsLogin } from './os-login.ts';

interface GcpSshParts {
  readonly sshd: LabSshd;
  /** `authorized_keys` of the machines' own users. */
  readonly keys: AdmittedKeys;
  readonly osLogin: OsLogin;
  readonly iam: GcpIam;
  readonly inventory: () => GcpInventory;
  readonly network: () => GcpLabNetwork;
  /** Wall clock. */
  readonly now: () => Millis;
}

/** In the lab's sshd; the same numbers may be in use on both clouds. */
const machineId = (instanceId: string): string => `gcp/${instanceId}`;

/** The sshd of the Compute Engine machines. */
export class GcpSsh {
  readonly #parts: GcpSshParts;

  constructor(parts: GcpSshParts) {
    this.#parts = parts;
  }

  /** Where a machine's port 22 is; undefined when nobody listens. */
  address(instanceId: string): Promise<LoopbackAddress> | undefined {
    const found = this.#parts.inventory().instances.find(({ id }) => id === instanceId);
    return found === undefined ? undefined : this.#parts.sshd.address(this.#machine(found));
  }

  /** The blob that a machine published as its host key; undefined when it publishes none. */
  publishedHostKey(instance: GcpInstance): Buffer | undefined {
    const hasSshd = Object.values(instance.services).includes('ssh');
    const publishes = isOn(instance, this.#project(instance), 'enable-guest-attributes');
    return hasSshd && publishes ? this.#parts.sshd.hostKey(machineId(instance.id)).blob : undefined;
  }

  #machine(named: GcpInstance): SshMachine {
    const { keys, network } = this.#parts;
    return {
      id: machineId(named.id),
      name: named.name,
      system: named.system ?? 'debian',
      // By what the cloud says now: metadata may have changed since the port was opened.
      admits: (userName, key) => keys.has(machineId(named.id), userName, key) || this.#admits(named.id, userName, key),
      reach: (host, port) => network().fromMachine(named.id, host, port),
      bind: (port, address, loopbackOnly) =>
        named.services[port] === undefined && named.forwards[port] === undefined
          ? network().ports.bind(named.id, port, { address, loopbackOnly })
          : undefined,
    };
  }

  #admits(instanceId: string, userName: string, key: Buffer): boolean {
    const { osLogin, inventory, iam, now } = this.#parts;
    const instance = inventory().instances.find(({ id }) => id === instanceId);
    if (instance === undefined) return false;
    const project = this.#project(instance);
    if (!isOn(instance, project, 'enable-oslogin')) return metadataAdmits(instance, project, userName, key, now());
    const owner = osLogin.ownerOf(userName, instance.project, key);
    const resource = `projects/${instance.project}/zones/${instance.zone}/instances/${instance.name}`;
    return owner !== undefined && iam.may(owner, 'compute.instances.osLogin', resource);
  }

  #project(instance: GcpInstance) {
    return this.#parts.inventory().projects.find(({ id }) => id === instance.project);
  }
}

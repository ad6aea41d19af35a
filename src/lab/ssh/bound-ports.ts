import type { LoopbackAddress } from '../loopback-services.ts';

interface Bound {
  readonly address: LoopbackAddress;
  readonly loopbackOnly: boolean;
}

/** Ports of practice machines on which their sshd listens for a client's remote forward. */
export class BoundPorts {
  readonly #ports = new Map<string, Bound>();

  /** Undefined when somebody has the port. Returns how to give it back. */
  bind(machineId: string, port: number, bound: Bound): (() => void) | undefined {
    const key = `${machineId}:${port}`;
    if (this.#ports.has(key)) return undefined;
    this.#ports.set(key, bound);
    return () => {
      if (this.#ports.get(key) === bound) this.#ports.delete(key);
    };
  }

  /** @param isRemote asked from another machine, or by a service that dials the machine's address */
  find(machineId: string, port: number, isRemote: boolean): LoopbackAddress | undefined {
    const bound = this.#ports.get(`${machineId}:${port}`);
    return bound === undefined || (isRemote && bound.loopbackOnly) ? undefined : bound.address;
  }
}

/**
 * What can be made to go wrong with the sshd of the practice machines, as one JSON value: the lab's control endpoint POSTs it (`ssh`),
 * tests set it directly. A plan holds for every machine, or for one (by name or id) on top of that. It is read at each connection and
 * each request.
 */
import { z } from 'zod';

const planSchema = z.strictObject({
  /**
   * - `serve`: a working sshd
   * - `absent`: nobody listens on port 22
   * - `refuse`: takes the connection and closes it at once
   * - `silent`: takes the connection and never says anything
   * - `close-in-key-exchange`: says who it is, and closes when the client has begun the key exchange
   */
  answer: z.enum(['serve', 'absent', 'refuse', 'silent', 'close-in-key-exchange']),
  /** Before the first byte. */
  delayMs: z.number().min(0),
  /** Before the answer to a right key. */
  loginDelayMs: z.number().min(0),
  /** Shows a key that is not the machine's. */
  wrongHostKey: z.boolean(),
  /** `AllowTcpForwarding local`, as sshd calls it. */
  localForwarding: z.boolean(),
  /** `AllowTcpForwarding remote` */
  remoteForwarding: z.boolean(),
  /** `GatewayPorts clientspecified`: remote forwards may listen elsewhere than on loopback. */
  gatewayPorts: z.boolean(),
  /** The connection ends so long after login; 0: never. */
  endAfterMs: z.number().min(0),
});

export const sshPatchSchema = z.strictObject({
  ...planSchema.partial().shape,
  /** Machine name or id → what differs there. */
  machines: z.record(z.string(), planSchema.partial()).optional(),
});

export type SshPlan = z.infer<typeof planSchema>;
export type SshPatch = z.input<typeof sshPatchSchema>;

const DEFAULT_SSH_PLAN: SshPlan = {
  answer: 'serve',
  delayMs: 0,
  loginDelayMs: 0,
  wrongHostKey: false,
  localForwarding: true,
  remoteForwarding: true,
  gatewayPorts: false,
  endAfterMs: 0,
};

/** The plans in force. `set` replaces what was set before; a ZodError tells what is wrong with a patch. */
export class SshFaults {
  #patch: z.output<typeof sshPatchSchema> = {};

  constructor(patch: SshPatch = {}) {
    this.set(patch);
  }

  /** The defaults with `patch` on top. `{}` ends all faults. */
  set(patch: SshPatch): void {
    this.#patch = sshPatchSchema.parse(patch);
  }

  plan(machine: { readonly id: string; readonly name: string }): SshPlan {
    const { machines = {}, ...everywhere } = this.#patch;
    const bareId = machine.id.replace(/^.*\//, '');
    return { ...DEFAULT_SSH_PLAN, ...given(everywhere), ...given(machines[machine.name]), ...given(machines[bareId]) };
  }

  /** What was set, for the lab's status. */
  patch(): SshPatch {
    return this.#patch;
  }
}

function given(patch: Partial<Record<keyof SshPlan, unknown>> | undefined): Partial<SshPlan> {
  return Object.fromEntries(Object.entries(patch ?? {}).filter(([, value]) => value !== undefined)) as Partial<SshPlan>;
}

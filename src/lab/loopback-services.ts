/** What stands behind the machines of both practice clouds: small servers and databases on this machine's loopback. */

/** A socket on this machine's loopback. */
export interface LoopbackAddress {
  readonly host: string;
  readonly port: number;
}

/** What listens on a port: see node-services.ts; `ssh` is the machine's sshd (ssh/lab-sshd.ts). A port without one refuses connections. */
export type LabService = 'web' | 'echo' | 'discard' | 'silent' | 'chargen';
export type LabServices = Readonly<Record<number, LabService | 'ssh'>>;

/** Which of the lab's two database servers answers for a database. */
export type LabBackend = 'prod' | 'orders';

import type { RemoteEndpoint } from './endpoint.ts';
import type { Secret } from './secret.ts';

/** Permission to open one websocket of one SSM session (docs/protocol/ssm.md, "HTTP API side"). */
export interface SsmSessionTicket {
  readonly kind: 'ssm-session';
  readonly sessionId: string;
  /** To be used byte for byte (docs/protocol/ssm.md, "HTTP API side"); already checked against the hosts that are allowed. */
  readonly streamUrl: string;
  readonly token: Secret;
  /** The machine as StartSession was told, for the KMS encryption context. */
  readonly targetId: string;
  readonly to: RemoteEndpoint;
}

export type Ticket = SsmSessionTicket;

/** A data key for an encrypted session (docs/protocol/ssm.md, "Encryption"). */
export interface DataKey {
  /** 64 bytes: 0–31 far end to us, 32–63 us to far end. */
  readonly plaintext: Uint8Array;
  readonly ciphertext: Uint8Array;
}

/**
 * Permission to dial, for the whole life of a tunnel: transport knows no cloud, so renewal, a signed upgrade and a data key come
 * from here. Every method asks the cloud with fresh credentials and throws CloudtunError.
 */
export interface TicketSource {
  readonly kind: Ticket['kind'];
  /** StartSession. */
  issue(to: RemoteEndpoint, signal: AbortSignal): Promise<Ticket>;
  /** ResumeSession: a ticket for the same session, or undefined when the cloud says that the session is over. */
  renew(ticket: Ticket, signal: AbortSignal): Promise<Ticket | undefined>;
  /** TerminateSession; resolves also when the session is gone already. */
  release(ticket: Ticket): Promise<void>;
  /** Headers for a signed websocket upgrade; absent where upgrades are not signed. */
  signUpgrade?(url: URL): Promise<Record<string, string>>;
  dataKey?(keyId: string, context: Record<string, string>, signal: AbortSignal): Promise<DataKey>;
}

import type { RemoteEndpoint } from './endpoint.ts';
import type { CloudtunError } from './errors.ts';
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
  /** The Session document that it was started with. */
  readonly document?: string;
  readonly to: RemoteEndpoint;
}

/** A machine's port behind Identity-Aware Proxy (docs/protocol/iap.md, "Targets"). */
export interface IapInstance {
  readonly kind: 'instance';
  readonly project: string;
  readonly zone: string;
  readonly instance: string;
  /** `nic0` … `nic7` */
  readonly networkInterface: string;
}

/** A host's port in a destination group of Identity-Aware Proxy. */
export interface IapHost {
  readonly kind: 'host';
  readonly project: string;
  readonly region: string;
  readonly network: string;
  /** IPv4, IPv6 without brackets, or a domain name. */
  readonly host: string;
  readonly group?: string;
}

/** Permission to open one websocket to the relay of Identity-Aware Proxy (docs/protocol/iap.md, "Reaching the service"). */
export interface IapRelayTicket {
  readonly kind: 'iap-relay';
  /** `wss://tunnel.cloudproxy.app/v4`: what `/connect` and `/reconnect` are appended to. */
  readonly root: string;
  readonly target: IapInstance | IapHost;
  /** The OAuth 2 access token. */
  readonly token: Secret;
  /** Kept in the cloud's audit log, `X-Goog-Request-Reason`. */
  readonly reason?: string;
  /** For certificate-based access, PEM. */
  readonly clientCertificate?: { readonly certificate: string; readonly key: Secret; readonly passphrase?: Secret };
  readonly to: RemoteEndpoint;
}

export type Ticket = SsmSessionTicket | IapRelayTicket;

/** The id under which the cloud keeps a session that somebody has to end; undefined where sessions end with their connection. */
export function sessionToEnd(ticket: Ticket): string | undefined {
  switch (ticket.kind) {
    case 'ssm-session':
      return ticket.sessionId;
    case 'iap-relay':
      return undefined;
  }
}

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
export interface TicketSource<Issued extends Ticket = Ticket> {
  readonly kind: Issued['kind'];
  /** StartSession; for IAP a token that is good for some minutes more, asked of the cloud only when the known one is not. */
  issue(to: RemoteEndpoint, signal: AbortSignal): Promise<Issued>;
  /**
   * The last ticket is not enough any more. ResumeSession: a ticket for the same session, or undefined when the cloud says that the
   * session is over. For IAP: a token that was asked for just now, because the service did not want the old one.
   */
  renew(ticket: Issued, signal: AbortSignal): Promise<Issued | undefined>;
  /** TerminateSession, where there is such a thing; resolves also when the session is gone already. */
  release(ticket: Issued): Promise<void>;
  /**
   * What the cloud's own APIs say about a refusal of the tunnel service, which tells causes apart that look alike there: a firewall, a
   * stopped machine, a port nobody listens on. Resolves with a more exact error, or with `error` itself. Never rejects.
   */
  diagnose?(error: CloudtunError, to: RemoteEndpoint, signal: AbortSignal): Promise<CloudtunError>;
  /**
   * Asked while the tunnel service keeps silent: what makes waiting useless for sure, such as a firewall that lets nothing in. Undefined
   * where nothing is known. Never rejects.
   */
  whySilent?(to: RemoteEndpoint, signal: AbortSignal): Promise<CloudtunError | undefined>;
  /** Headers for a signed websocket upgrade; absent where upgrades are not signed. */
  signUpgrade?(url: URL): Promise<Record<string, string>>;
  dataKey?(keyId: string, context: Record<string, string>, signal: AbortSignal): Promise<DataKey>;
}

import type { RemoteEndpoint } from '../domain/endpoint.ts';
import type { Millis } from '../domain/millis.ts';
import type { Secret } from '../domain/secret.ts';
import type { HostKeyExpectation, HostKeyVerdict } from './host-keys.ts';

/** Something to prove with who we are. Tried in order. */
export type SshCredential =
  | {
      readonly kind: 'key';
      /** For people: `the key of EC2 Instance Connect`, `~/.ssh/id_ed25519`. */
      readonly label: string;
      /** In any format that ssh2 reads, not encrypted. */
      readonly privateKey: Secret;
    }
  | {
      readonly kind: 'agent';
      readonly label: string;
      /** The socket of an ssh-agent. */
      readonly path: string;
    };

/** As whom, and by what. */
export interface SshLoginPlan {
  readonly user: string;
  readonly credentials: readonly SshCredential[];
  /** Pauses after which a login that was refused is tried again: a key that was just admitted may not have arrived. */
  readonly retryAfter: readonly Millis[];
}

/** The server, as the far end of a Dialer sees it. */
export interface SshServer {
  readonly to: RemoteEndpoint;
  /** For people: `web-1`. */
  readonly label: string;
  readonly hostKeys: HostKeyExpectation;
}

/** How a server that is gone is noticed. */
export interface KeepAlive {
  /** Between two questions; 0: none is asked. */
  readonly interval: Millis;
  /** So many unanswered ones are the end. */
  readonly count: number;
}

export interface SshConnectOptions {
  /** The server's key was found to be right. Before any login. */
  readonly onHostKey?: (verdict: HostKeyVerdict) => void;
  /** What the server says before the login. Not to be shown without cleaning it of control characters. */
  readonly onBanner?: (text: string) => void;
  /** A login was refused and is tried again after this pause. */
  readonly onRetry?: (pause: Millis) => void;
  /** The socket of the ssh-agent that may be forwarded when a session asks for it. */
  readonly forwardAgent?: string;
  readonly keepAlive?: KeepAlive;
}

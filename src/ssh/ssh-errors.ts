import { formatEndpoint, type RemoteEndpoint } from '../domain/endpoint.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { SshLoginPlan, SshServer } from './ssh-login.ts';

/** How far a connection had come when it failed. */
export interface SshProgress {
  /** What the server said first; undefined while it said nothing. */
  readonly opening: Buffer | undefined;
  /** Keys are exchanged and the host key is right. */
  readonly isSecure: boolean;
  /** Labels of what was tried to log in with. */
  readonly tried: readonly string[];
  /** Methods the server said it would go on with. */
  readonly accepted: readonly string[];
}

/** RFC 4254, section 5.1. */
const PROHIBITED = 1;
const CONNECT_FAILED = 2;
const UNKNOWN_TYPE = 3;

/** The login was refused: as whom, with what, and what the server would take. */
export function loginRefused(server: SshServer, login: SshLoginPlan, progress: SshProgress, cause?: unknown) {
  const { tried, accepted } = progress;
  return new CloudtunError('CT_LOGIN_REFUSED', `${server.label} refused the login as ${login.user}`, {
    details: [
      ['user', login.user],
      ['tried', tried.length === 0 ? 'nothing' : tried.join(', ')],
      ...(accepted.length === 0 ? [] : [['accepts', accepted.join(', ')] as const]),
    ],
    hint: [
      'check the user name: cloudtun ssh USER@TARGET, or -l USER',
      'a server that takes certificates alone needs your own ssh program',
    ],
    cause,
  });
}

/** A connection that did not come to a login. */
export function handshakeFailed(server: SshServer, progress: SshProgress, cause?: unknown): CloudtunError {
  const { opening } = progress;
  const where = `${server.label} (${formatEndpoint(server.to)})`;
  if (cause instanceof CloudtunError) return cause;
  if (opening === undefined || isTurnedAway(opening)) {
    return new CloudtunError('CT_PROTO_SSH', `${where} closed the connection before it said anything`, {
      hint: 'an sshd that is starting, full (MaxStartups) or refuses the address does this; look at its log on the machine',
      cause,
    });
  }
  if (!opening.subarray(0, 4).equals(Buffer.from('SSH-').subarray(0, opening.length))) {
    return new CloudtunError('CT_REMOTE_UNEXPECTED', `${where} answers, but it is no SSH server`, {
      hint: 'check the port: -p',
      cause,
    });
  }
  if (progress.isSecure) {
    return new CloudtunError('CT_PROTO_SSH', `${where} closed the connection during the login`, { cause });
  }
  return new CloudtunError('CT_PROTO_SSH', `the key exchange with ${where} failed`, {
    hint: 'it was cut, or client and server have no algorithm in common; -v shows more',
    cause,
  });
}

/** OpenSSH says this instead of its version, and closes, while too many others are logging in. */
function isTurnedAway(opening: Buffer): boolean {
  return /^(Exceeded MaxStartups|Not allowed at this time)/.test(opening.toString('latin1'));
}

/** A connection that stood and broke. */
export function connectionLost(server: SshServer, cause: unknown): CloudtunError {
  if (cause instanceof CloudtunError) return cause;
  return new CloudtunError('CT_TUNNEL_LOST', `the SSH connection to ${server.label} was lost`, { cause });
}

/** A channel that the server would not open, by the reason's number and never by its words. */
export function channelRefused(label: string, to: RemoteEndpoint | undefined, thrown: unknown): CloudtunError {
  if (thrown instanceof CloudtunError) return thrown;
  const reason = typeof thrown === 'object' && thrown !== null ? Reflect.get(thrown, 'reason') : undefined;
  const what = to === undefined ? 'a session' : `a connection to ${formatEndpoint(to)}`;
  if (reason === CONNECT_FAILED) {
    return new CloudtunError('CT_REMOTE_REFUSED', `${label} could not open ${what}`, {
      hint: 'nobody listens there, the name is unknown to that machine, or a firewall is in between',
      cause: thrown,
    });
  }
  if (reason === PROHIBITED || reason === UNKNOWN_TYPE) {
    return new CloudtunError('CT_FORWARD_PROHIBITED', `the sshd of ${label} does not allow ${what}`, {
      hint: 'look at AllowTcpForwarding, PermitOpen and the restrictions of the key in its configuration',
      cause: thrown,
    });
  }
  return new CloudtunError('CT_REMOTE_REFUSED', `the sshd of ${label} refused ${what}`, { cause: thrown });
}

import { ERROR_CATALOGUE } from './error-catalogue.ts';
import type { CloudtunError } from './errors.ts';

/** Why a session is over, for programs. Public: words are added and never renamed. */
export const SESSION_END_CAUSES = [
  /** We closed it: nobody needs it any more, or cloudtun ends. */
  'closed',
  /** It led to where the target was before; connections that were left on it were reset. */
  'moved',
  /** The service or the agent ended it: idle time-out, maximum duration, terminated by somebody, the agent stopped. */
  'ended-by-service',
  /** The cloud does not give it back after its connection was lost. */
  'not-resumed',
  /** Its connection was lost, and the cloud could not be reached for as long as `intervals.resume`. */
  'unreachable',
  /** The credentials are over, and nobody signed in again in time. */
  'signed-out',
  /** The cloud does not allow it any more. */
  'denied',
  /** The far machine refused, or could not reach, what the session was for. */
  'refused',
  /** The peer broke the protocol. */
  'broken-protocol',
  /** It never came to carry anything. */
  'not-begun',
] as const;

export type SessionEndCause = (typeof SESSION_END_CAUSES)[number];

/** How a session ended. */
export interface SessionEnding {
  readonly cause: SessionEndCause;
  /** Who ended it; `network`: nobody did, it was lost. */
  readonly by: 'us' | 'service' | 'network';
  /** Of its last websocket, where one was closed with a code. */
  readonly closeCode?: number;
  /** Numbers of messages, or bytes where the protocol counts those: sent, of these acknowledged, and received. */
  readonly sent?: number;
  readonly acknowledged?: number;
  readonly received?: number;
  /** `new-session`: the next connection opens one. `nothing`: none is needed. */
  readonly next?: 'new-session' | 'nothing';
}

/** What the error says that a session ended with; without one it was closed. */
export function endingBy(error: CloudtunError | undefined): Pick<SessionEnding, 'cause' | 'by'> {
  if (error === undefined) return { cause: 'closed', by: 'us' };
  switch (ERROR_CATALOGUE[error.code].kind) {
    case 'auth':
      return { cause: 'signed-out', by: 'service' };
    case 'denied':
      return { cause: 'denied', by: 'service' };
    case 'target':
      return { cause: 'refused', by: 'service' };
    case 'protocol':
      return { cause: 'broken-protocol', by: 'service' };
    case 'interrupted':
      return { cause: 'closed', by: 'us' };
    default:
      return error.code === 'CT_SESSION_ENDED'
        ? { cause: 'ended-by-service', by: 'service' }
        : { cause: 'unreachable', by: 'network' };
  }
}

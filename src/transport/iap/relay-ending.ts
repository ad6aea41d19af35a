import type { CloudtunError } from '../../domain/errors.ts';
import { endingBy, type SessionEnding } from '../../domain/session-ending.ts';
import type { LinkEnd } from './core/close-codes.ts';
import type { RelaySession } from './core/relay-session.ts';

/** How a session of the relay ended, in bytes. @param last the Close of its last websocket */
export function relayEnding(
  session: RelaySession,
  error: CloudtunError | undefined,
  last: LinkEnd | undefined,
): SessionEnding {
  const { confirmed, unconfirmed, received } = session;
  // Without an error it is over with the far connection, or because nobody wants it any more.
  const isFarEnd = error === undefined && last !== undefined;
  return {
    ...(isFarEnd ? { cause: 'ended-by-service', by: 'service' } : endingBy(error)),
    ...(last !== undefined && { closeCode: last.longClose?.code ?? last.code }),
    sent: confirmed + unconfirmed,
    acknowledged: confirmed,
    received,
  };
}

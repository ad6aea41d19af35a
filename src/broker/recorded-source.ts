import type { RemoteEndpoint } from '../domain/endpoint.ts';
import type { CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { sessionToEnd, type Ticket, type TicketSource } from '../domain/ticket.ts';
import { isoTime } from '../runtime/iso-time.ts';
import type { World } from '../runtime/world.ts';
import type { SessionLedger, SessionPlace } from './session-ledger.ts';

/** How much longer a call that starts a session may take after nobody wants the session any more. */
const LATE_LIMIT: Millis = 10_000;

/**
 * A ticket source whose sessions, where the cloud keeps such, are in the ledger from the moment they exist until they are ended, and
 * which leaves none behind when it is called off: breaking off the call that starts a session would leave one that nobody knows the id of. So the call is
 * let finish, and its session ended.
 *
 * @param target what a person would call the target
 * @param onSession told of every session that the cloud keeps
 * @param inTurn lets a session be started when its turn comes
 */
export function recordedSource(
  source: TicketSource,
  world: World,
  ledger: SessionLedger,
  place: SessionPlace,
  target: string,
  onSession: (id: string) => void,
  inTurn: (start: () => Promise<Ticket>, signal: AbortSignal) => Promise<Ticket>,
): TicketSource {
  const release = async (ticket: Ticket) => {
    await source.release(ticket);
    const session = sessionToEnd(ticket);
    if (session !== undefined) ledger.remove(session);
  };
  return {
    kind: source.kind,
    async issue(to: RemoteEndpoint, signal: AbortSignal): Promise<Ticket> {
      signal.throwIfAborted();
      const ticket = await inTurn(() => issueWhole(source, world, to, signal), signal);
      const session = sessionToEnd(ticket);
      if (session !== undefined) {
        ledger.add({ id: session, place, target, startedAt: isoTime(world.clock.wall()) });
        onSession(session);
      }
      if (!signal.aborted) return ticket;
      await release(ticket);
      throw signal.reason;
    },
    renew: (ticket, signal) => source.renew(ticket, signal),
    release,
    ...(source.whySilent && {
      whySilent: (to: RemoteEndpoint, signal: AbortSignal) => source.whySilent!(to, signal),
    }),
    ...(source.diagnose && {
      diagnose: (error: CloudtunError, to: RemoteEndpoint, signal: AbortSignal) => source.diagnose!(error, to, signal),
    }),
    ...(source.signUpgrade && { signUpgrade: (url: URL) => source.signUpgrade!(url) }),
    ...(source.dataKey && {
      dataKey: (keyId: string, context: Record<string, string>, signal: AbortSignal) =>
        source.dataKey!(keyId, context, signal),
    }),
  };
}

async function issueWhole(
  source: TicketSource,
  world: World,
  to: RemoteEndpoint,
  signal: AbortSignal,
): Promise<Ticket> {
  const late = new AbortController();
  let timer: { cancel(): void } | undefined;
  const onAbort = () => {
    timer = world.clock.after(LATE_LIMIT, () => late.abort(signal.reason));
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await source.issue(to, late.signal);
  } finally {
    signal.removeEventListener('abort', onAbort);
    timer?.cancel();
  }
}

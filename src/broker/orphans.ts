import type { AuditSink } from '../domain/audit-sink.ts';
import { asCloudtunError, type CloudtunError } from '../domain/errors.ts';
import type { Provider } from '../providers/provider.ts';
import { isLoopbackAddress } from '../runtime/loopback.ts';
import {
  isSamePlace,
  type OrphanedSession,
  type SessionLedger,
  type SessionPlace,
  sessionPlace,
} from './session-ledger.ts';

/** What became of a session whose process was killed. */
export type OrphanReport =
  | { readonly outcome: 'ended'; readonly session: OrphanedSession }
  /** It belongs to another profile, region or endpoint than this run uses; signing in there is not ours to start. */
  | { readonly outcome: 'elsewhere'; readonly session: OrphanedSession }
  | { readonly outcome: 'failed'; readonly session: OrphanedSession; readonly error: CloudtunError };

/** More than this at one start would be a flood of calls; the rest is for the next time. */
export const ORPHANS_AT_ONCE = 50;

/**
 * Ends the sessions that killed processes of ours left behind where the providers look, and tells of the others. Never touches a
 * session of a live process. Never throws; a failure keeps the entry for the next start. A session that can be ended no more,
 * because it is over, counts as ended.
 */
export async function endOrphans(
  context: { readonly ledger: SessionLedger; readonly providers: readonly Provider[]; readonly journal: AuditSink },
  signal: AbortSignal,
): Promise<readonly OrphanReport[]> {
  const { ledger } = context;
  const left = ledger.orphans();
  if (left.length === 0) return [];
  const places = context.providers.flatMap(placeIfKnown);
  const providerOf = (session: OrphanedSession) =>
    places.find(({ place }) => isSamePlace(session.place, place))?.provider;
  const orphans = left.filter((session) => {
    // A lab keeps sessions in its memory alone and is at another port the next time: nothing is left to end.
    const isAsked = places.some(({ place }) => place.provider === session.place.provider);
    const isOfAnotherLab = isLoopbackUrl(session.place.endpoint) && isAsked && providerOf(session) === undefined;
    if (isOfAnotherLab) ledger.forget(session);
    return !isOfAnotherLab;
  });
  return Promise.all(
    orphans.slice(0, ORPHANS_AT_ONCE).map(async (session): Promise<OrphanReport> => {
      const provider = providerOf(session);
      if (provider === undefined) return { outcome: 'elsewhere', session };
      try {
        await provider.gatekeeper.endSession(session.id, signal);
      } catch (thrown) {
        return { outcome: 'failed', session, error: asCloudtunError(thrown) };
      }
      ledger.forget(session);
      recordEnd(context.journal, session);
      return { outcome: 'ended', session };
    }),
  );
}

/** A provider without a region is told of when a target is looked up; here it is one that has no sessions. */
function placeIfKnown(provider: Provider): readonly { provider: Provider; place: SessionPlace }[] {
  try {
    return [{ provider, place: sessionPlace(provider) }];
  } catch {
    return [];
  }
}

/** The `end` record that the killed process could not write. Nothing is opened here, so a journal that fails stops nothing. */
function recordEnd(journal: AuditSink, session: OrphanedSession): void {
  try {
    journal.record({
      event: 'session',
      change: 'ended',
      session: session.id,
      why: 'its process was killed',
      target: session.target,
      pid: session.pid,
    });
  } catch {
    // Whoever opens a tunnel next is told by the opening record, which must be written.
  }
}

function isLoopbackUrl(endpoint: string | undefined): boolean {
  if (endpoint === undefined || !URL.canParse(endpoint)) return false;
  const host = new URL(endpoint).hostname.replace(/^\[|\]$/g, '');
  return host === 'localhost' || isLoopbackAddress(host);
}

import { formatByteCount } from '../../domain/byte-count.ts';
import { formatDuration } from '../../domain/duration.ts';
import type { Millis } from '../../domain/millis.ts';
import { isoTime } from '../../runtime/iso-time.ts';
import type { HeldStatus } from '../../supervisor/protocol.ts';
import { printable } from './printable.ts';
import { clockTime, expiry, plural } from './tunnel-lines.ts';

/** `ready, renewed 1x`, `on demand`, `lost: the session ended (CT_SESSION_ENDED)` */
export function heldState({ state, renewals, lastTrouble }: HeldStatus): string {
  const renewed = renewals > 0 ? `, renewed ${renewals}x` : '';
  switch (state) {
    case 'waiting':
      return 'on demand';
    case 'lost':
      return `lost: ${lastTrouble?.message ?? 'no reason known'}`;
    case 'ready':
    case 'reconnecting':
      return `${state}${renewed}`;
    default:
      return state;
  }
}

/** Everything that is known of one tunnel, for `status`. @param now wall clock */
export function heldDetails(tunnel: HeldStatus, now: Millis): readonly string[] {
  const { local, target, place, readyAt, expiresAt, clients, connections, bytesUp, bytesDown } = tunnel;
  const { sessions, roundTripMs, renewals, lastRenewal, lastTrouble, isOnDemand } = tunnel;
  const lines: (readonly [string, string | undefined])[] = [
    ['state', heldState(tunnel)],
    ['local', local.join(', ') || undefined],
    ['target', target],
    ['cloud', place?.label],
    ['since', readyAt === undefined ? undefined : `${clockTime(readyAt)} (${formatDuration(now - readyAt)})`],
    ['ends', expiry(expiresAt, now)],
    ['opened', isOnDemand ? 'at the first connection, closed when unused' : undefined],
    ['clients', `${clients} now, ${plural(connections, 'connection')} so far`],
    ['bytes', `${formatByteCount(bytesDown)} down, ${formatByteCount(bytesUp)} up`],
    ['sessions', String(sessions)],
    ['round trip', roundTripMs === undefined ? undefined : `${Math.round(roundTripMs)} ms`],
    [
      'renewed',
      lastRenewal === undefined
        ? undefined
        : `${renewals} times, last at ${clockTime(lastRenewal.at)} (${RENEWED[lastRenewal.how] ?? lastRenewal.how})`,
    ],
    [
      'last trouble',
      lastTrouble === undefined
        ? undefined
        : `${clockTime(lastTrouble.at)} ${lastTrouble.message}${lastTrouble.code === undefined ? '' : ` (${lastTrouble.code})`}`,
    ],
  ];
  return lines.flatMap(([label, text]) => (text === undefined ? [] : [printable(`${label.padEnd(13)}${text}`)]));
}

const RENEWED: Readonly<Record<string, string>> = {
  resumed: 'nothing lost',
  'new-session': 'in a new session',
};

/** A held tunnel for programs: instants in UTC, what is not known is null. */
export function heldJson(tunnel: HeldStatus) {
  const instant = (wall: Millis | undefined) => (wall === undefined ? null : isoTime(wall));
  const { name, state, local, target, place, since, readyAt, expiresAt, isOnDemand } = tunnel;
  const { clients, connections, bytesUp, bytesDown, sessions, roundTripMs, renewals } = tunnel;
  const { lastRenewal, lastTrouble } = tunnel;
  return {
    name,
    state,
    local,
    target,
    place: place ?? null,
    since: isoTime(since),
    readyAt: instant(readyAt),
    expiresAt: instant(expiresAt),
    onDemand: isOnDemand,
    clients,
    connections,
    bytesUp,
    bytesDown,
    sessions,
    roundTripMs: roundTripMs === undefined ? null : Math.round(roundTripMs * 10) / 10,
    renewals,
    lastRenewal: lastRenewal === undefined ? null : { at: isoTime(lastRenewal.at), how: lastRenewal.how },
    lastTrouble: lastTrouble === undefined ? null : { ...lastTrouble, at: isoTime(lastTrouble.at) },
  };
}

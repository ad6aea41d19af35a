import { formatByteCount } from '../../domain/byte-count.ts';
import { formatDuration } from '../../domain/duration.ts';
import type { Millis } from '../../domain/millis.ts';
import type { SessionFigures } from '../../domain/session-figures.ts';
import { isoTime } from '../../runtime/iso-time.ts';
import type { HeldStatus } from '../../supervisor/protocol.ts';
import { printable } from './printable.ts';
import { clockTime, endingText, expiry, plural } from './tunnel-lines.ts';

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
  const { sessions, each, roundTripMs, renewals, lastRenewal, lastEnding, lastTrouble, isOnDemand } = tunnel;
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
    ['sessions', `${sessions}${rates(tunnel)}`],
    ...(each.length > 1 ? each.map(sessionLine) : []),
    ['round trip', roundTripMs === undefined ? undefined : `${Math.round(roundTripMs)} ms`],
    [
      'renewed',
      lastRenewal === undefined
        ? undefined
        : `${renewals} times, last at ${clockTime(lastRenewal.at)} (${RENEWED[lastRenewal.how] ?? lastRenewal.how})`,
    ],
    [
      'last session',
      lastEnding === undefined ? undefined : `ended ${clockTime(lastEnding.at)}${endingText(lastEnding)}`,
    ],
    [
      'last trouble',
      lastTrouble === undefined
        ? undefined
        : `${clockTime(lastTrouble.at)} ${lastTrouble.message}${lastTrouble.code === undefined ? '' : ` (${lastTrouble.code})`}`,
    ],
  ];
  return lines.flatMap(([label, text]) => (text === undefined ? [] : [printable(`${label.padEnd(14)}${text}`)]));
}

/** Bytes a second, where any move. */
function rates({ rateUp, rateDown }: Pick<SessionFigures, 'rateUp' | 'rateDown'>): string {
  if (Math.round(rateUp + rateDown) === 0) return '';
  return `, ${formatByteCount(Math.round(rateDown))}/s down, ${formatByteCount(Math.round(rateUp))}/s up`;
}

function sessionLine(session: SessionFigures): readonly [string, string] {
  const { id, health, openStreams, roundTripMs } = session;
  const delay = roundTripMs === undefined ? '' : `, ${Math.round(roundTripMs)} ms`;
  return ['', `${id} ${health}, ${plural(openStreams, 'connection')}${rates(session)}${delay}`];
}

const RENEWED: Readonly<Record<string, string>> = {
  resumed: 'nothing lost',
  'new-session': 'in a new session',
};

/** A held tunnel for programs: instants in UTC, what is not known is null. */
export function heldJson(tunnel: HeldStatus) {
  const instant = (wall: Millis | undefined) => (wall === undefined ? null : isoTime(wall));
  const { name, state, local, target, place, since, readyAt, expiresAt, isOnDemand } = tunnel;
  const { clients, connections, bytesUp, bytesDown, sessions, each, roundTripMs, renewals } = tunnel;
  const tenths = (milliseconds: Millis | undefined) =>
    milliseconds === undefined ? null : Math.round(milliseconds * 10) / 10;
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
    rateUp: Math.round(tunnel.rateUp),
    rateDown: Math.round(tunnel.rateDown),
    roundTripMs: tenths(roundTripMs),
    eachSession: each.map((session) => ({
      id: session.id,
      health: session.health,
      connections: session.openStreams,
      bytesUp: session.bytesUp,
      bytesDown: session.bytesDown,
      rateUp: Math.round(session.rateUp),
      rateDown: Math.round(session.rateDown),
      roundTripMs: tenths(session.roundTripMs),
    })),
    renewals,
    lastRenewal: lastRenewal === undefined ? null : { at: isoTime(lastRenewal.at), how: lastRenewal.how },
    lastTrouble: lastTrouble === undefined ? null : { ...lastTrouble, at: isoTime(lastTrouble.at) },
  };
}

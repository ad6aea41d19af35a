import { formatByteCount } from '../../domain/byte-count.ts';
import { formatDuration } from '../../domain/duration.ts';
import type { Millis } from '../../domain/millis.ts';
import type { HeldStatus } from '../../supervisor/protocol.ts';
import { heldState } from './held-lines.ts';
import { tableLines } from './table.ts';

const HEADING = ['NAME', 'LOCAL', 'TARGET', 'AGE', 'LEFT', 'CLIENTS', 'DOWN', 'UP', 'RTT', 'STATE'];

/** The table of `ps`, by name. @param now wall clock */
export function heldTable(tunnels: readonly HeldStatus[], now: Millis): readonly string[] {
  const rows = [...tunnels].sort((one, two) => one.name.localeCompare(two.name)).map((each) => heldRow(each, now));
  return tableLines(HEADING, rows);
}

function heldRow(tunnel: HeldStatus, now: Millis): readonly string[] {
  const { name, local, target, readyAt, expiresAt, clients, bytesDown, bytesUp, roundTripMs, place } = tunnel;
  const hasBegun = readyAt !== undefined && (tunnel.state !== 'waiting' || tunnel.connections > 0);
  const cloud = place === undefined ? '' : ` (${place.label})`;
  return [
    name,
    local[0] ?? '-',
    `${target}${cloud}`,
    readyAt === undefined ? '-' : formatDuration(now - readyAt),
    expiresAt === undefined ? '-' : formatDuration(Math.max(expiresAt - now, 0)),
    hasBegun ? String(clients) : '-',
    hasBegun ? formatByteCount(bytesDown) : '-',
    hasBegun ? formatByteCount(bytesUp) : '-',
    roundTripMs === undefined ? '-' : `${Math.round(roundTripMs)}ms`,
    heldState(tunnel),
  ];
}

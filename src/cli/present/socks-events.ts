import { formatByteCount } from '../../domain/byte-count.ts';
import { formatEndpoint } from '../../domain/endpoint.ts';
import type { Millis } from '../../domain/millis.ts';
import { type ProviderId, targetLabel } from '../../domain/target.ts';
import { isoTime } from '../../runtime/iso-time.ts';
import type { DestinationCount, SocksEvent, SocksReport } from '../../socks/socks-types.ts';
import { errorJson } from './error-json.ts';
import { closedJson, eventJson, optionalError, type Place, placeJson, targetJson } from './event-json.ts';
import type { EventJson } from './event-schema.ts';
import { printable } from './printable.ts';
import { expiry, plural, type Remark, remarkOn } from './tunnel-lines.ts';

type ServingEvent = Extract<SocksEvent, { type: 'serving' }>;
type TroubleEvent = Extract<SocksEvent, { type: 'client' | 'refused' }>;

/** `open 127.0.0.1:1080 -> bastion-a (SOCKS and HTTP, aws lab/ap-northeast-1, expires 18:02), PAC http://127.0.0.1:1080/proxy.pac` */
export function servingLine(event: ServingEvent, place: Place, now: Millis): string {
  const about = ['SOCKS and HTTP', place.label, expiry(event.expiresAt, now)].join(', ');
  const { target, local: locals } = event;
  const local = formatEndpoint(locals[0]!);
  // Of a destination group every host is reached, and not the one alone that it was named by.
  const reached = target.kind === 'host' ? (target.group ?? target.networkId) : targetLabel(target);
  return printable(`open ${local} -> ${reached} (${about}), PAC ${event.pacUrl}`);
}

/** What to tell of an event besides the line above. */
export function socksRemarkOn(event: Exclude<SocksEvent, ServingEvent>): Remark | undefined {
  if (event.type !== 'client' && event.type !== 'refused') return remarkOn(event);
  const to = event.to === undefined ? '' : ` to ${formatEndpoint(event.to)}`;
  if (event.error) {
    const text = printable(`a connection${to} failed: ${event.error.message} (${event.error.code})`);
    // What is no request of any protocol is the client's own matter.
    return { text, weight: event.to === undefined ? 'info' : 'note' };
  }
  const { connection, change, clients } = event as Extract<SocksEvent, { type: 'client' }>;
  const what = change === 'connected' ? `${to.trim()} from ${event.from}` : `${to.trim()} closed`;
  return { text: printable(`connection ${connection} ${what}, ${clients} open`), weight: 'info' };
}

/** What makes two troubles the same for a person. */
export function troubleOf({ to, error }: TroubleEvent): string | undefined {
  return error === undefined ? undefined : `${error.code} ${to === undefined ? '' : formatEndpoint(to)}`;
}

/** `db.internal:5432  12 connections, 3.4 MB down, 0.1 MB up, 2 failed`, a line each. */
export function destinationLines(destinations: readonly DestinationCount[]): readonly string[] {
  const shown = destinations.slice(0, LISTED);
  const widest = Math.max(0, ...shown.map(({ to }) => to.length));
  const lines = shown.map(({ to, connections, failed, bytesUp, bytesDown }) => {
    const bytes = `${formatByteCount(bytesDown)} down, ${formatByteCount(bytesUp)} up`;
    return `${to.padEnd(widest)}  ${plural(connections, 'connection')}, ${bytes}${failed > 0 ? `, ${failed} failed` : ''}`;
  });
  const left = destinations.length - shown.length;
  return (left > 0 ? [...lines, `and ${plural(left, 'more destination')}`] : lines).map(printable);
}

/** How many destinations a person is told of. */
const LISTED = 10;

/** An event as a JSON line. */
export function socksEventJson(event: SocksEvent, placeOf: (cloud: ProviderId) => Place, wall: Millis): EventJson {
  const at = isoTime(wall);
  switch (event.type) {
    case 'serving':
      return {
        event: 'ready',
        at,
        rule: 0,
        readiness: 'open',
        local: event.local.map(({ host, port }) => ({ host, port })),
        target: targetJson(event.target),
        pac: event.pacUrl,
        ...placeJson(placeOf(event.target.provider)),
        expiresAt: event.expiresAt === undefined ? null : isoTime(event.expiresAt),
      };
    case 'client': {
      const { change, connection, from, to, clients, bytesUp, bytesDown, error } = event;
      const facts = { change, rule: 0, connection, from, to: { ...to }, clients, bytesUp, bytesDown };
      return { event: 'client', at, ...facts, ...optionalError(error) };
    }
    case 'refused':
      return {
        event: 'refused',
        at,
        from: event.from,
        ...(event.to && { to: { ...event.to } }),
        error: errorJson(event.error),
      };
    default:
      return eventJson(event, placeOf, wall);
  }
}

/** The last event: totals, and each destination. */
export function socksClosedJson(report: SocksReport, wall: Millis): EventJson {
  const destinations = report.destinations.map((count) => ({ ...count }));
  return { ...(closedJson(report, wall) as Extract<EventJson, { event: 'closed' }>), destinations };
}

import { formatDuration } from '../../domain/duration.ts';
import { formatEndpoint } from '../../domain/endpoint.ts';
import type { Millis } from '../../domain/millis.ts';
import { type ProviderId, targetLabel } from '../../domain/target.ts';
import type { ExposeEvent, ExposeReport } from '../../expose/expose-types.ts';
import { isoTime } from '../../runtime/iso-time.ts';
import type { RemoteBind } from '../../ssh/remote-ports.ts';
import { errorJson } from './error-json.ts';
import { clientJson, closedJson, eventJson, type Place, placeJson, targetJson } from './event-json.ts';
import type { EventJson } from './event-schema.ts';
import { printable } from './printable.ts';
import { expiry, plural, type Remark, remarkOn } from './tunnel-lines.ts';

type ExposedEvent = Extract<ExposeEvent, { type: 'exposed' }>;

/** The last minutes are counted by the second. */
const BY_THE_SECOND: Millis = 5 * 60_000;
const SECOND: Millis = 1_000;
const MINUTE: Millis = 60_000;

/** `ready web-1:8080 -> 127.0.0.1:3000 (aws lab/ap-northeast-1, its own loopback only, expires 18:02)` */
export function exposedLine(event: ExposedEvent, place: Place, now: Millis): string {
  const { remote, local, target } = event;
  const reach =
    remote.host === 'localhost' ? 'from itself only' : `on ${remote.host === '' ? 'all addresses' : remote.host}`;
  const about = [place.label, reach, expiry(event.expiresAt, now)].join(', ');
  return printable(`ready ${farName(targetLabel(target), remote)} -> ${formatEndpoint(local)} (${about})`);
}

/** `web-1:8080` */
function farName(label: string, { port }: RemoteBind): string {
  return `${label}:${port}`;
}

/** The time left as it is counted down, and how long that text holds. */
export function countdown(left: Millis): { readonly text: string; readonly holds: Millis } {
  if (left > BY_THE_SECOND) {
    const minutes = Math.ceil(left / MINUTE);
    return { text: formatDuration(minutes * MINUTE), holds: left - (minutes - 1) * MINUTE };
  }
  const seconds = Math.max(0, Math.ceil(left / SECOND));
  const text = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  return { text, holds: Math.max(left - (seconds - 1) * SECOND, 10) };
}

/** What to tell of an event besides the line above. */
export function exposeRemarkOn(event: Exclude<ExposeEvent, ExposedEvent>): Remark | undefined {
  switch (event.type) {
    case 'client':
      return clientRemark(event);
    case 'refused':
      return { text: printable(`a connection from ${event.from} was refused: ${event.error.message}`), weight: 'note' };
    case 'reconnecting': {
      const text = `connection lost (${printable(event.error.message)}), logging in again, attempt ${event.attempt}`;
      return { text, weight: event.attempt === 1 || event.error.code === 'CT_REMOTE_PORT_BUSY' ? 'note' : 'info' };
    }
    case 'renewed':
      return { text: `listening again after ${formatDuration(event.downtime)}`, weight: 'note' };
    case 'rule-failed':
      return { text: `warning: ${printable(event.error.message)} (${event.error.code})`, weight: 'note' };
    case 'loopback-only':
      return { text: `warning: ${printable(loopbackOnly(event))}`, weight: 'note' };
    default:
      return remarkOn(event);
  }
}

function clientRemark(event: Extract<ExposeEvent, { type: 'client' }>): Remark {
  const { connection, change, from, clients, error } = event;
  if (error) {
    return {
      text: printable(`connection ${connection} from ${from} failed: ${error.message} (${error.code})`),
      weight: 'note',
    };
  }
  const what = change === 'connected' ? `from ${from}` : 'closed';
  return { text: printable(`connection ${connection} ${what}, ${clients} open`), weight: 'info' };
}

function loopbackOnly({ remote, label }: Extract<ExposeEvent, { type: 'loopback-only' }>): string {
  return (
    `port ${remote.port} is open on the loopback of ${label} only: GatewayPorts is "no" in its sshd_config ` +
    '("clientspecified" lets the client choose)'
  );
}

/** Troubles that are the same for a person: each is told once. */
export function exposeTroubleOf(event: ExposeEvent): string | undefined {
  if (event.type === 'refused') return `refused ${event.from.replace(/:\d+$/, '')}`;
  if (event.type === 'client' && event.error) return event.error.code;
  if (event.type === 'reconnecting' && event.attempt > 1) return event.error.code;
  return undefined;
}

/** What is told at the end of callers that were refused. */
export function refusedLine({ refused }: ExposeReport): string | undefined {
  return refused === 0 ? undefined : `${plural(refused, 'connection')} refused`;
}

/** An event as a JSON line. @param login what stands for the session where an event has one: `ssh ec2-user@web-1` */
export function exposeEventJson(
  event: ExposeEvent,
  placeOf: (cloud: ProviderId) => Place,
  login: string,
  wall: Millis,
): EventJson {
  const at = isoTime(wall);
  switch (event.type) {
    case 'exposed':
      return {
        event: 'ready',
        at,
        rule: event.rule,
        readiness: 'ready',
        local: [{ ...event.local }],
        target: targetJson(event.target),
        remote: { ...event.remote },
        ...placeJson(placeOf(event.target.provider)),
        expiresAt: event.expiresAt === undefined ? null : isoTime(event.expiresAt),
      };
    case 'client':
      return clientJson(event, at);
    case 'refused':
      return { event: 'refused', at, from: event.from, error: errorJson(event.error) };
    case 'reconnecting':
      return { event: 'reconnecting', at, sessionId: login, reason: event.error.message, attempt: event.attempt };
    case 'renewed':
      return { event: 'renewed', at, sessionId: login, how: 'new-session', downtimeMs: Math.round(event.downtime) };
    case 'rule-failed':
      return { event: 'warning', at, message: `${event.error.message} (${event.error.code})` };
    case 'loopback-only':
      return { event: 'warning', at, message: loopbackOnly(event) };
    default:
      return eventJson(event, placeOf, wall);
  }
}

/** The last event: totals, and how many were refused. */
export function exposeClosedJson(report: ExposeReport, wall: Millis): EventJson {
  return { ...(closedJson(report, wall) as Extract<EventJson, { event: 'closed' }>), refused: report.refused };
}

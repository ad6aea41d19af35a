import { formatByteCount } from '../../domain/byte-count.ts';
import { formatDuration } from '../../domain/duration.ts';
import { formatEndpoint } from '../../domain/endpoint.ts';
import type { Millis } from '../../domain/millis.ts';
import type { SessionEnding } from '../../domain/session-ending.ts';
import { type Route, targetLabel, viaLabel } from '../../domain/target.ts';
import type { TunnelEvent } from '../../domain/tunnel-event.ts';
import type { CloseReason, ForwardEvent, ForwardReport, LifeEvent, TimeLimit } from '../../forward/forward-types.ts';
import type { Place } from './event-json.ts';
import { printable } from './printable.ts';

type ReadyEvent = Extract<ForwardEvent, { type: 'ready' }>;

const DAY: Millis = 86_400_000;

/** `ready 127.0.0.1:13306 -> prod (MySQL 8.0, aws lab/ap-northeast-1, via bastion-a, expires 18:02)`; `open …` for silent protocols. */
export function readyLine(event: ReadyEvent, place: Place, now: Millis): string {
  const remarks = [speaks(event), place.label, via(event.route), expiry(event.expiresAt, now)];
  const local = event.local[0]!;
  const about = remarks.filter((remark) => remark !== undefined).join(', ');
  return printable(`${event.readiness.kind} ${formatEndpoint(local)} -> ${reached(event.route)} (${about})`);
}

function speaks({ route, readiness }: ReadyEvent): string | undefined {
  return route.target.kind === 'database' ? route.target.engineLabel : readiness.greeting;
}

/** What the user calls the far end: the database, a port of the machine, or a host behind it. */
function reached({ target, to }: Route): string {
  if (target.kind === 'database') return targetLabel(target);
  return to.host === undefined ? `${targetLabel(target)}:${to.port}` : formatEndpoint(to);
}

function via(route: Route): string | undefined {
  const { target, node, to } = route;
  return node.id !== target.id || to.host !== undefined ? `via ${viaLabel(route)}` : undefined;
}

/** `expires 18:02` */
export function expiry(expiresAt: Millis | undefined, now: Millis): string {
  if (expiresAt === undefined) return 'no time limit';
  const date = new Date(expiresAt);
  const time = clockTime(expiresAt).slice(0, 5);
  if (expiresAt - now < DAY) return `expires ${time}`;
  return `expires ${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`;
}

/** `14:03:21` on this machine's clock. */
export function clockTime(wall: Millis): string {
  const date = new Date(wall);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}

const CLOSED_BY: Readonly<Record<CloseReason, string>> = {
  interrupted: '',
  ttl: ', time limit reached',
  idle: ', idle',
  'max-bytes': ', byte limit reached',
  policy: ', the hours of the policy are over',
  lost: ', tunnel lost',
  ended: '',
  failed: ', never ready',
};

/** `closed after 42m, 3 connections, 18.4 MB down, 0.9 MB up` and, unless the user did it, why. */
export function closedLine(report: ForwardReport): string {
  const parts = [
    `closed after ${formatDuration(report.duration)}`,
    plural(report.connections, 'connection'),
    `${formatByteCount(report.bytesDown)} down`,
    `${formatByteCount(report.bytesUp)} up`,
  ];
  return parts.join(', ') + CLOSED_BY[report.reason];
}

/** `draining 1 connection (again to cut) ...`; undefined when nothing is open and there is nothing to wait for. */
export function drainingText(clients: number, because: CloseReason): string | undefined {
  if (clients === 0) return undefined;
  return `draining ${plural(clients, 'connection')}${because === 'interrupted' ? ' (again to cut)' : ''} ...`;
}

/** `3 connections` */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** How much a person who did not ask with `-v` should see of an event. */
export interface Remark {
  readonly text: string;
  readonly weight: 'note' | 'info' | 'debug';
}

/** What to tell about the life of a forward besides its ready and closing lines; undefined when those say it. */
export function remarkOn(event: ForwardEvent): Remark | undefined {
  switch (event.type) {
    case 'ready':
    case 'waiting':
    case 'draining':
      return undefined;
    case 'client':
      return clientRemark(event);
    case 'expiring':
      return { text: expiringText(event), weight: 'note' };
    case 'tunnel':
      return tunnelRemark(event.event);
  }
}

const EXPIRES_BY: Readonly<Record<TimeLimit, string>> = {
  ttl: 'the time limit',
  idle: 'no connection is open',
  hours: 'the hours that the policy allows end',
};

/** `closing in 5m: the time limit`, `closing after 100.0 MB more: the byte limit` */
export function expiringText(event: Extract<LifeEvent, { type: 'expiring' }>): string {
  if (event.because === 'max-bytes') return `closing after ${formatByteCount(event.leftBytes)} more: the byte limit`;
  return `closing in ${formatDuration(event.left)}: ${EXPIRES_BY[event.because]}`;
}

function clientRemark(event: Extract<ForwardEvent, { type: 'client' }>): Remark {
  const name = `connection ${event.connection}`;
  if (event.error) {
    const what = `${printable(event.error.message)} (${event.error.code})`;
    return { text: `${name} from ${event.from} failed: ${what}`, weight: 'note' };
  }
  const change = event.change === 'connected' ? `opened from ${event.from}` : 'closed';
  return { text: `${name} ${change}, ${event.clients} open`, weight: 'info' };
}

/** ` (ended-by-service, by service; sent 12, acknowledged 12, received 40)` */
export function endingText(ending: SessionEnding | undefined): string {
  if (ending === undefined || ending.cause === 'closed') return '';
  const { cause, by, closeCode, sent, acknowledged, received } = ending;
  const code = closeCode === undefined ? '' : `, close code ${closeCode}`;
  const numbers =
    sent === undefined ? '' : `; sent ${sent}, acknowledged ${acknowledged ?? 0}, received ${received ?? 0}`;
  return ` (${cause}, by ${by}${code}${numbers})`;
}

function tunnelRemark(event: TunnelEvent): Remark {
  switch (event.type) {
    case 'phase':
      return { text: `${event.phase}: ${event.duration.toFixed(1)} ms`, weight: 'info' };
    case 'session-started':
      return { text: `session ${event.sessionId} started${furtherText(event.further)}`, weight: 'info' };
    case 'session-ended':
      return {
        text: `session ${event.sessionId} ended: ${printable(event.reason)}${endingText(event.ending)}`,
        weight: 'info',
      };
    case 'session-stalled':
      return {
        text: `a slow reader holds ${formatByteCount(event.heldByteCount)} of ${event.sessionId}`,
        weight: 'info',
      };
    case 'reconnecting':
      return {
        text: `connection lost (${printable(event.reason)}), reconnecting, attempt ${event.attempt}`,
        weight: event.attempt === 1 ? 'note' : 'info',
      };
    case 'renewed': {
      const how = event.how === 'resumed' ? 'nothing lost' : 'in a new session';
      return { text: `connected again after ${formatDuration(event.downtime)}, ${how}`, weight: 'note' };
    }
    case 'sign-in-needed': {
      const { message, hints } = event.error;
      const held =
        event.heldFor > 0 ? `new connections wait for it ${formatDuration(event.heldFor)}` : 'then try again';
      return { text: printable(`signed out: ${[message, ...hints.slice(0, 1), held].join('; ')}`), weight: 'note' };
    }
    case 'signed-in':
      return { text: `signed in again after ${formatDuration(event.after)}`, weight: 'note' };
    case 'moved':
      return { text: printable(`${event.what}: the next connection gets a new session`), weight: 'note' };
    case 'stream-reset':
      return {
        text: `a connection was reset: ${printable(event.error.message)} (${event.error.code})`,
        weight: 'note',
      };
    case 'hop': {
      const { hop, user, by, hostKey } = event;
      const isNew = hostKey.trust === 'first-use';
      const key = isNew ? `; host key ${hostKey.fingerprint} seen for the first time, trusted from now on` : '';
      return { text: printable(`logged in to ${hop} as ${user} (${by})${key}`), weight: isNew ? 'note' : 'info' };
    }
    case 'hint':
      return { text: printable(event.message), weight: 'note' };
    case 'warning':
      return { text: `warning: ${printable(event.message)}`, weight: 'note' };
  }
}

const FURTHER = {
  asked: 'another connection came',
  load: 'the others are full',
  stalled: 'a slow reader holds up the others',
  connection: 'this agent carries one connection in each',
} as const;

function furtherText(further: Extract<TunnelEvent, { type: 'session-started' }>['further']): string {
  return further === undefined ? '' : `, ${further.count} now: ${FURTHER[further.because]}`;
}

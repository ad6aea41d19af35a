import type { CloudtunError } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import type { ProviderId, Target } from '../../domain/target.ts';
import type { TunnelEvent } from '../../domain/tunnel-event.ts';
import type { ClientEvent, ForwardEvent, ForwardReport, LifeEvent } from '../../forward/forward-types.ts';
import { isoTime } from '../../runtime/iso-time.ts';
import { errorJson } from './error-json.ts';
import type { EventJson } from './event-schema.ts';

/** Where a forward was opened, as its provider knows it. */
export interface Place {
  /** `aws prod/ap-northeast-1`. */
  readonly label: string;
  readonly region?: string;
  readonly project?: string;
  readonly profile: string | undefined;
}

type ReadyEvent = Extract<ForwardEvent, { type: 'ready' }>;

/** A forward's event as a JSON line. */
export function eventJson(event: ForwardEvent, placeOf: (cloud: ProviderId) => Place, wall: Millis): EventJson {
  const at = isoTime(wall);
  switch (event.type) {
    case 'ready':
      return readyJson(event, placeOf(event.route.provider), at);
    case 'waiting':
      return waitingJson(event, at);
    case 'client':
      return clientJson(event, at);
    case 'expiring':
      return expiringJson(event, at);
    case 'draining':
      return { event: 'draining', at, clients: event.clients, because: event.because };
    case 'tunnel':
      return tunnelEventJson(event.event, at);
  }
}

function waitingJson(event: Extract<ForwardEvent, { type: 'waiting' }>, at: string): EventJson {
  return {
    event: 'waiting',
    at,
    rule: event.rule,
    local: event.local.map(({ host, port }) => ({ host, port })),
    expiresAt: event.expiresAt === undefined ? null : isoTime(event.expiresAt),
  };
}

export function clientJson(event: ClientEvent, at: string): EventJson {
  const { change, rule, connection, from, clients, bytesUp, bytesDown, error } = event;
  return { event: 'client', at, change, rule, connection, from, clients, bytesUp, bytesDown, ...optionalError(error) };
}

export function expiringJson(event: Extract<LifeEvent, { type: 'expiring' }>, at: string): EventJson {
  const { because } = event;
  return because === 'max-bytes'
    ? { event: 'expiring', at, because, leftBytes: event.leftBytes }
    : { event: 'expiring', at, because, leftMs: Math.round(event.left) };
}

export function closedJson(report: ForwardReport, wall: Millis): Extract<EventJson, { event: 'closed' }> {
  return {
    event: 'closed',
    at: isoTime(wall),
    reason: report.reason,
    durationMs: Math.round(report.duration),
    connections: report.connections,
    bytesUp: report.bytesUp,
    bytesDown: report.bytesDown,
    ...optionalError(report.error),
  };
}

export function errorEventJson(error: CloudtunError, wall: Millis): EventJson {
  return { event: 'error', at: isoTime(wall), error: errorJson(error) };
}

function readyJson(event: ReadyEvent, place: Place, at: string): EventJson {
  const { target, node, to } = event.route;
  return {
    event: 'ready',
    at,
    rule: event.rule,
    readiness: event.readiness.kind,
    ...(event.readiness.greeting !== undefined && { greeting: event.readiness.greeting }),
    local: event.local.map(({ host, port }) => ({ host, port })),
    target: {
      provider: target.provider,
      kind: target.kind,
      id: target.id,
      ...(target.name !== undefined && { name: target.name }),
      ...(target.kind === 'database' && { engine: target.engine, engineLabel: target.engineLabel }),
    },
    to: { ...(to.host !== undefined && { host: to.host }), port: to.port },
    ...(node.id !== target.id && { via: { id: node.id, ...(node.name !== undefined && { name: node.name }) } }),
    ...placeJson(place),
    expiresAt: event.expiresAt === undefined ? null : isoTime(event.expiresAt),
  };
}

export function targetJson(target: Target): Extract<EventJson, { event: 'ready' }>['target'] {
  return {
    provider: target.provider,
    kind: target.kind,
    id: target.id,
    ...(target.kind !== 'database' && target.name !== undefined && { name: target.name }),
    ...(target.kind === 'database' && { engine: target.engine, engineLabel: target.engineLabel }),
  };
}

export function placeJson({ region, project, profile }: Place): {
  region?: string;
  project?: string;
  profile?: string;
} {
  return {
    ...(region !== undefined && { region }),
    ...(project !== undefined && { project }),
    ...(profile !== undefined && { profile }),
  };
}

function tunnelEventJson(event: TunnelEvent, at: string): EventJson {
  switch (event.type) {
    case 'phase':
      return { event: 'phase', at, phase: event.phase, durationMs: Math.round(event.duration * 10) / 10 };
    case 'session-started':
      return {
        event: 'session',
        at,
        sessionId: event.sessionId,
        change: 'started',
        ...(event.further && { reason: event.further.because, sessions: event.further.count }),
      };
    case 'session-ended':
      return {
        event: 'session',
        at,
        sessionId: event.sessionId,
        change: 'ended',
        reason: event.reason,
        ...(event.ending && { ending: { ...event.ending } }),
      };
    case 'session-stalled':
      return {
        event: 'session',
        at,
        sessionId: event.sessionId,
        change: 'stalled',
        reason: `${event.heldByteCount} bytes held`,
      };
    case 'reconnecting':
      return { event: 'reconnecting', at, sessionId: event.sessionId, reason: event.reason, attempt: event.attempt };
    case 'renewed':
      return {
        event: 'renewed',
        at,
        sessionId: event.sessionId,
        how: event.how,
        downtimeMs: Math.round(event.downtime),
      };
    case 'sign-in-needed':
      return {
        event: 'sign-in',
        at,
        change: 'needed',
        heldForMs: Math.round(event.heldFor),
        error: errorJson(event.error),
      };
    case 'signed-in':
      return { event: 'sign-in', at, change: 'done', afterMs: Math.round(event.after) };
    case 'moved':
      return { event: 'moved', at, reason: event.what, openStreams: event.openStreams };
    case 'stream-reset':
      return { event: 'stream-reset', at, sessionId: event.sessionId, error: errorJson(event.error) };
    case 'hop': {
      const { hop, user, by, hostKey } = event;
      return { event: 'hop', at, hop, user, by, hostKey: { trust: hostKey.trust, fingerprint: hostKey.fingerprint } };
    }
    case 'hint':
      return { event: 'hint', at, message: event.message };
    case 'warning':
      return { event: 'warning', at, message: event.message };
  }
}

export function optionalError(error: CloudtunError | undefined): { error?: ReturnType<typeof errorJson> } {
  return error === undefined ? {} : { error: errorJson(error) };
}

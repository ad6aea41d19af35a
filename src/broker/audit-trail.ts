import type { AuditEvent, AuditSink } from '../domain/audit-sink.ts';
import { formatEndpoint } from '../domain/endpoint.ts';
import type { CloudtunError } from '../domain/errors.ts';
import type { SessionEnding } from '../domain/session-ending.ts';
import { farEndpoint, type Route, targetLabel } from '../domain/target.ts';
import type { TunnelEvent } from '../domain/tunnel-event.ts';
import type { Identity } from '../providers/provider.ts';
import { hostUser } from '../runtime/host-user.ts';
import type { World } from '../runtime/world.ts';
import type { ClientRecord, EndRecord, TunnelRequest } from './broker-types.ts';

/** Endpoints whose `open` record is remembered; one that is forgotten is recorded again. */
const OPENED_LIMIT = 1_024;

/** What is the same for all records of one tunnel. */
export interface TrailSubject {
  readonly request: TunnelRequest;
  readonly identity: Identity | undefined;
  /** `aws prod/ap-northeast-1` */
  readonly place: string;
  /** The Session document of a route. */
  readonly documentOf: (route: Route) => string | undefined;
}

/**
 * The records of one tunnel in the journal, tied together by an id: `open` (before the first session to each endpoint), `session`,
 * `renewal`, `moved`, `sign-in`, `client`, `command`, `denial`, `end`; `identity` where who asks was learned later. Without `open` there is no tunnel; when a later one cannot be written, that is one warning.
 */
export class AuditTrail {
  readonly #world: World;
  readonly #journal: AuditSink;
  readonly #subject: TrailSubject;
  readonly #id: string;
  /** Node by endpoint, of the `open` records written. */
  readonly #opened = new Map<string, string>();
  #identity: Identity | undefined;
  #hasWarned = false;
  #hasEnded = false;
  #lastDenial: CloudtunError | undefined;

  constructor(world: World, journal: AuditSink, subject: TrailSubject) {
    this.#world = world;
    this.#journal = journal;
    this.#subject = subject;
    this.#identity = subject.identity;
    this.#id = world.random.uuid();
  }

  /**
   * A session along a route is about to be started. Does nothing when that is recorded already.
   *
   * @throws CT_JOURNAL when it is the first to this endpoint and cannot be recorded: nothing may be opened then
   */
  opening(route: Route): void {
    const to = formatEndpoint(farEndpoint(route));
    const before = this.#opened.get(to);
    if (before === route.node.id) return;
    const record = { ...this.#who(), ...this.#what(route) };
    if (before === undefined) this.#journal.record(this.#event('open', record));
    else this.#note('open', record);
    const [oldest] = this.#opened.keys();
    if (this.#opened.size >= OPENED_LIMIT && oldest !== undefined) this.#opened.delete(oldest);
    this.#opened.set(to, route.node.id);
  }

  /** Who asks, learned after the first `open` record was written. */
  identify(identity: Identity | undefined): void {
    this.#identity = identity;
    if (identity !== undefined && this.#opened.size > 0) this.#note('identity', this.#who());
  }

  /** A step in the life of a session. */
  tunnel(event: TunnelEvent): void {
    switch (event.type) {
      case 'session-started':
        this.#note('session', {
          change: 'started',
          session: event.sessionId,
          ...(event.document !== undefined && { document: event.document }),
        });
        break;
      case 'session-ended':
        this.#note('session', {
          change: 'ended',
          session: event.sessionId,
          why: event.reason,
          ...(event.ending && endingFields(event.ending)),
          ...(event.error && errorFields(event.error)),
        });
        break;
      case 'renewed':
        this.#note('renewal', { session: event.sessionId, how: event.how, downtimeMs: Math.round(event.downtime) });
        break;
      case 'moved':
        this.#note('moved', { why: event.what, openStreams: event.openStreams });
        break;
      case 'sign-in-needed':
        this.#note('sign-in', { change: 'needed', ...errorFields(event.error) });
        break;
      case 'signed-in':
        this.#note('sign-in', { change: 'done', afterMs: Math.round(event.after) });
        break;
      default:
        break;
    }
  }

  client(record: ClientRecord): void {
    this.#note('client', {
      change: record.change,
      from: record.from,
      to: formatEndpoint(record.to),
      ...(record.change === 'closed' && { bytesUp: record.bytesUp, bytesDown: record.bytesDown }),
      ...(record.error && errorFields(record.error)),
    });
  }

  /** A command on the target. @throws CT_JOURNAL */
  runs(program: string): void {
    this.#journal.record(this.#event('command', { program, with: 'ssh' }));
  }

  /** The cloud, a policy or an sshd refused. May come before anything was opened, or without a route. The same refusal is told once. */
  denied(error: CloudtunError, route?: Route): void {
    // Whoever waits for a login gets the same error, and so does whoever asked for the whole way.
    if (error === this.#lastDenial) return;
    this.#lastDenial = error;
    this.#note('denial', { ...this.#who(), ...(route && this.#what(route)), ...errorFields(error) });
  }

  /** Written once, and only if something was opened. */
  ended(record: EndRecord): void {
    if (this.#hasEnded || this.#opened.size === 0) return;
    this.#hasEnded = true;
    this.#note('end', {
      why: record.reason,
      durationMs: Math.round(record.duration),
      connections: record.connections,
      bytesUp: record.bytesUp,
      bytesDown: record.bytesDown,
      ...(record.error && errorFields(record.error)),
    });
  }

  #who(): Record<string, string | number> {
    const identity = this.#identity;
    const { user, host } = hostUser();
    return {
      ...(identity && { person: identity.id, name: identity.name, account: identity.account, by: identity.source }),
      hostUser: user,
      host,
      pid: this.#world.pid,
    };
  }

  #what(route: Route): Record<string, string> {
    const { request } = this.#subject;
    const document = this.#subject.documentOf(route);
    return {
      place: this.#subject.place,
      asked: request.text,
      target: targetLabel(route.target),
      targetId: route.target.id,
      node: route.node.id,
      to: formatEndpoint(farEndpoint(route)),
      ...(route.hops && route.hops.length > 0 && { hops: route.hops.join(' > ') }),
      ...(document !== undefined && { document }),
      ...(request.kind === 'machine' && request.use !== undefined && { use: request.use }),
      ...(request.reason !== undefined && { reason: request.reason }),
    };
  }

  #event(event: string, fields: Readonly<Record<string, string | number | boolean>>): AuditEvent {
    return { event, tunnel: this.#id, ...fields };
  }

  #note(event: string, fields: Readonly<Record<string, string | number | boolean>>): void {
    try {
      this.#journal.record(this.#event(event, fields));
    } catch (error) {
      if (this.#hasWarned) return;
      this.#hasWarned = true;
      const why = error instanceof Error ? error.message : String(error);
      this.#world.log.warn(`${why}; the tunnel goes on, and the journal has a gap`);
    }
  }
}

function endingFields({ cause, by, closeCode, sent, acknowledged, received, next }: SessionEnding) {
  return {
    cause,
    by,
    ...(closeCode !== undefined && { closeCode }),
    ...(sent !== undefined && { sent }),
    ...(acknowledged !== undefined && { acknowledged }),
    ...(received !== undefined && { received }),
    ...(next !== undefined && { next }),
  };
}

function errorFields(error: CloudtunError): { code: string; message: string } {
  return { code: error.code, message: error.message };
}

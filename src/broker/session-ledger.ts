import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PROVIDER_IDS, type ProviderId } from '../domain/target.ts';
import type { Provider } from '../providers/provider.ts';
import { type ProcessIdentity, processIdentity, processState } from '../runtime/process-identity.ts';
import { writePrivateFile } from '../runtime/state-file.ts';
import type { World } from '../runtime/world.ts';

/*
 * Which cloud sessions each process of ours has open, on disk, so that the sessions of a process that was killed can be found and
 * ended by the next one (broker/orphans.ts). One file for each process, `<state>/sessions/<pid>-<start>.json`, owner only, replaced
 * whole; it is there exactly as long as the process has sessions. It holds no secret: a session id permits nothing by itself.
 */

/** Where a session lives: what a provider must be asked with to end it. */
export interface SessionPlace {
  readonly provider: ProviderId;
  readonly profile?: string;
  /** The provider's own: the region on AWS. */
  readonly scope: string;
  /** The API endpoint, where it is not the cloud's usual one (the lab, a VPC endpoint). */
  readonly endpoint?: string;
}

export interface LedgerSession {
  /** The cloud's session id. */
  readonly id: string;
  readonly place: SessionPlace;
  /** What a person would call the target. */
  readonly target: string;
  /** ISO 8601 UTC. */
  readonly startedAt: string;
}

/** A session whose process is dead. */
export interface OrphanedSession extends LedgerSession {
  readonly pid: number;
  /** The state file that names it. */
  readonly file: string;
}

interface LedgerFile {
  readonly version: 1;
  readonly process: ProcessIdentity;
  readonly sessions: readonly LedgerSession[];
}

/** Session Manager ends an idle session after 60 minutes at most and any session with a set duration after 24 hours. */
const ORPHAN_AGE_LIMIT = 25 * 3_600_000;
/** A file of a process that cannot be seen from here is forgotten when nobody touched it for this long (guessed). */
const UNSEEN_AGE_LIMIT = 30 * 86_400_000;
/** A temporary file lives for microseconds; one that is older was left behind by a process that was killed. */
const TEMPORARY_AGE_LIMIT = 60_000;

export class SessionLedger {
  readonly #world: World;
  readonly #identity: ProcessIdentity;
  readonly #directory: string;
  readonly #own = new Map<string, LedgerSession>();
  #warned = false;

  constructor(world: World, identity: ProcessIdentity = processIdentity()) {
    this.#world = world;
    this.#identity = identity;
    this.#directory = join(world.paths.state, 'sessions');
  }

  /** Remembers a session from the moment the cloud has started it. A disk that fails is one warning; the tunnel goes on. */
  add(session: LedgerSession): void {
    this.#own.set(session.id, session);
    this.#save(() => true);
  }

  /** Forgets a session that is ended. */
  remove(id: string): void {
    this.#own.delete(id);
    this.#save((session) => session.id !== id);
  }

  /**
   * The sessions of processes that are dead, oldest first. Files that are torn, garbage or out of date are removed on the way; those
   * of live processes, and of processes that cannot be seen from here, are left alone.
   */
  orphans(): readonly OrphanedSession[] {
    const found: OrphanedSession[] = [];
    for (const name of this.#list()) {
      const path = join(this.#directory, name);
      const age = this.#age(path);
      if (name.endsWith('.new')) {
        if (age > TEMPORARY_AGE_LIMIT) discard(path);
        continue;
      }
      if (!/^\d+-\d+\.json$/.test(name)) continue;
      const file = readLedgerFile(path);
      if (file === 'newer') continue;
      if (file === undefined) {
        discard(path);
        continue;
      }
      const state = processState(file.process, this.#identity);
      if (state === 'unknown' && age > UNSEEN_AGE_LIMIT) discard(path);
      if (state !== 'dead') continue;
      const fresh = file.sessions.filter((session) => this.#isFresh(session));
      if (fresh.length === 0) discard(path);
      found.push(...fresh.map((session) => ({ ...session, pid: file.process.pid, file: path })));
    }
    return found.sort((a, b) => a.startedAt.localeCompare(b.startedAt));
  }

  /** Forgets an orphan that is ended; two processes may do so at once. */
  forget(orphan: OrphanedSession): void {
    const file = readLedgerFile(orphan.file);
    if (file === undefined || file === 'newer') return;
    const sessions = file.sessions.filter((session) => session.id !== orphan.id);
    try {
      if (sessions.length === 0) discard(orphan.file);
      else writePrivateFile(orphan.file, `${JSON.stringify({ ...file, sessions })}\n`);
    } catch (error) {
      this.#warn(error);
    }
  }

  get #path(): string {
    const start = this.#identity.startTicks ?? 0;
    return join(this.#directory, `${this.#identity.pid}-${start}.json`);
  }

  /** Sessions that another ledger of this process wrote (the library may be used twice) are kept when `keep` says so. */
  #save(keep: (session: LedgerSession) => boolean): void {
    const before = readLedgerFile(this.#path);
    const others =
      before === undefined || before === 'newer' || processState(before.process, this.#identity) !== 'alive'
        ? []
        : before.sessions.filter((session) => !this.#own.has(session.id) && keep(session));
    const file: LedgerFile = { version: 1, process: this.#identity, sessions: [...others, ...this.#own.values()] };
    try {
      if (file.sessions.length === 0) rmSync(this.#path, { force: true });
      else writePrivateFile(this.#path, `${JSON.stringify(file)}\n`);
    } catch (error) {
      this.#warn(error);
    }
  }

  #list(): string[] {
    try {
      return readdirSync(this.#directory);
    } catch {
      return [];
    }
  }

  #age(path: string): number {
    try {
      return this.#world.clock.wall() - statSync(path).mtimeMs;
    } catch {
      return 0;
    }
  }

  #isFresh(session: LedgerSession): boolean {
    return this.#world.clock.wall() - Date.parse(session.startedAt) < ORPHAN_AGE_LIMIT;
  }

  #warn(error: unknown): void {
    if (this.#warned) return;
    this.#warned = true;
    const why = error instanceof Error ? error.message : String(error);
    this.#world.log.warn(`open sessions cannot be noted, so none is found again if this process is killed: ${why}`);
  }
}

/** Where a provider's sessions live. */
export function sessionPlace(provider: Provider): SessionPlace {
  return {
    provider: provider.id,
    scope: provider.scope,
    ...(provider.profile !== undefined && { profile: provider.profile }),
    ...(provider.endpoint !== undefined && { endpoint: provider.endpoint }),
  };
}

export function isSamePlace(one: SessionPlace, two: SessionPlace): boolean {
  return (
    one.provider === two.provider &&
    one.profile === two.profile &&
    one.scope === two.scope &&
    one.endpoint === two.endpoint
  );
}

function discard(path: string): void {
  rmSync(path, { force: true, recursive: true });
}

/** Undefined when it is not one of ours, is torn, or went away; `newer` when a later cloudtun wrote it. */
function readLedgerFile(path: string): LedgerFile | 'newer' | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (!isRecord(value)) return undefined;
    if (typeof value.version === 'number' && value.version > 1) return 'newer';
    if (value.version !== 1 || !isIdentity(value.process) || !Array.isArray(value.sessions)) return undefined;
    return { version: 1, process: value.process, sessions: value.sessions.filter(isSession) };
  } catch {
    return undefined;
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isOptionalText = (value: unknown): boolean => value === undefined || typeof value === 'string';

function isIdentity(value: unknown): value is ProcessIdentity {
  return (
    isRecord(value) &&
    Number.isSafeInteger(value.pid) &&
    Number(value.pid) > 0 &&
    isText(value.host) &&
    (value.startTicks === undefined || Number.isSafeInteger(value.startTicks)) &&
    isOptionalText(value.bootId) &&
    isOptionalText(value.pidNamespace)
  );
}

function isSession(value: unknown): value is LedgerSession {
  return (
    isRecord(value) &&
    isText(value.id) &&
    isText(value.target) &&
    isText(value.startedAt) &&
    !Number.isNaN(Date.parse(value.startedAt)) &&
    isRecord(value.place) &&
    PROVIDER_IDS.some((id) => id === (value.place as Record<string, unknown>).provider) &&
    isText(value.place.scope) &&
    isOptionalText(value.place.profile) &&
    isOptionalText(value.place.endpoint)
  );
}

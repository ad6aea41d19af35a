import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { OrphanReport } from '../broker/orphans.ts';
import { loadCatalogue } from '../config/load.ts';
import { asCloudtunError, CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import type { Timer } from '../runtime/clock.ts';
import { Lifetime } from '../runtime/lifetime.ts';
import { claimPrivateDirectory } from '../runtime/private-directory.ts';
import { processIdentity } from '../runtime/process-identity.ts';
import { takeLock } from '../runtime/process-lock.ts';
import type { World } from '../runtime/world.ts';
import { messageLines } from './message-lines.ts';
import { worldOf } from './origin.ts';
import { supervisorPaths } from './paths.ts';
import { decodeMessage, encodeMessage, PROTOCOL_VERSION, type Reply, type Request } from './protocol.ts';
import type { RecentWarnings } from './recent-warnings.ts';
import { removeRecord, writeRecord } from './state-record.ts';
import { type SetContext, TunnelSet } from './tunnel-set.ts';

/** Nothing held and nobody there: the process ends after this. Long enough for the next command of a script. */
const UNUSED_LIMIT: Millis = 10_000;
/** A connection that asks nothing. */
const REQUEST_LIMIT: Millis = 10_000;
/** An `up` of ten thousand names is a mistake. */
const REQUEST_SIZE = 4_194_304;
/** What a reader that does not read may have waiting. */
const REPLY_BACKLOG = 8_388_608;
/** Connections at the same time; one more is closed. */
const CONNECTION_LIMIT = 512;

export interface SupervisorContext {
  readonly world: World;
  openApp: SetContext['openApp'];
  farPortOf: SetContext['farPortOf'];
  /** What became of a session of a process that was killed, in a line. */
  orphanNote(orphan: OrphanReport): string;
  /** What the log was warned of so far: somebody who closes a tunnel hears what came of it. */
  readonly warnings: RecentWarnings;
  /** Drains every tunnel, then ends. */
  readonly signal: AbortSignal;
}

/**
 * Holds tunnels for the commands of one user until nothing is held and nobody asks, or `signal` aborts. Resolves after every tunnel is
 * closed; at once with `other` when a supervisor runs already.
 *
 * @throws CT_SUPERVISOR when it cannot listen
 */
export async function runSupervisor(context: SupervisorContext): Promise<'ended' | 'other'> {
  const paths = supervisorPaths(context.world);
  const lock = takeLock(paths.lock);
  if (lock === undefined) return 'other';
  await using lifetime = new Lifetime();
  lifetime.defer(() => lock[Symbol.dispose]());
  const supervisor = new Supervisor(context, paths.state);
  lifetime.defer(() => removeRecord(paths.state));
  lifetime.use(supervisor);
  claimPrivateDirectory(dirname(paths.socket));
  // Whose it was is gone: the lock was free.
  rmSync(paths.socket, { force: true });
  const server = createServer((socket) => void supervisor.serve(socket));
  lifetime.defer(() => rmSync(paths.socket, { force: true }));
  await listen(server, paths.socket);
  lifetime.defer(() => void server.close());
  await supervisor.ended;
  return 'ended';
}

async function listen(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(new CloudtunError('CT_SUPERVISOR', `the supervisor cannot listen on ${path}`, { cause: error }));
    });
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
}

class Supervisor implements AsyncDisposable {
  /** Settles when there is no reason to go on. */
  readonly ended: Promise<void>;
  readonly #context: SupervisorContext;
  readonly #statePath: string;
  readonly #startedAt: Millis;
  readonly #set: TunnelSet;
  readonly #connections = new Set<Socket>();
  readonly #settleEnded: () => void;
  #unused: Timer | undefined;
  #hasWarned = false;

  constructor(context: SupervisorContext, statePath: string) {
    this.#context = context;
    this.#statePath = statePath;
    this.#startedAt = context.world.clock.wall();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#settleEnded = resolve;
    this.#set = new TunnelSet({
      openApp: (world, question) => context.openApp(world, question),
      farPortOf: (target) => context.farPortOf(target),
      onChange: () => this.#changed(),
      onOrphans: (orphans) => {
        for (const orphan of orphans) context.world.log.warn(context.orphanNote(orphan));
      },
    });
    context.signal.addEventListener('abort', () => void this.#drainAll(), { once: true });
    this.#lookIfUnused();
  }

  async serve(socket: Socket): Promise<void> {
    const { clock, log } = this.#context.world;
    if (this.#connections.size >= CONNECTION_LIMIT || this.#context.signal.aborted) {
      socket.destroy();
      return;
    }
    this.#connections.add(socket);
    this.#unused?.cancel();
    const leaving = new AbortController();
    socket.on('error', () => {});
    socket.once('close', () => {
      leaving.abort(new CloudtunError('CT_INTERRUPTED', 'the command left'));
      this.#connections.delete(socket);
      this.#lookIfUnused();
    });
    const silent = clock.after(REQUEST_LIMIT, () => socket.destroy(), { background: true });
    const say = (reply: Reply) => {
      if (socket.destroyed) return;
      socket.write(encodeMessage(reply));
      if (socket.writableLength > REPLY_BACKLOG) socket.destroy();
    };
    try {
      socket.write(encodeMessage({ cloudtun: PROTOCOL_VERSION, pid: this.#context.world.pid }));
      for await (const line of messageLines(socket, REQUEST_SIZE)) {
        silent.cancel();
        const request = await readRequest(line);
        await this.#answer(request, say, leaving.signal);
        say({ say: 'done' });
        this.#hangUp(socket);
        break;
      }
    } catch (thrown) {
      silent.cancel();
      if (!leaving.signal.aborted) {
        say({ say: 'refused', error: asCloudtunError(thrown) });
        this.#hangUp(socket);
        log.info(`a request failed: ${asCloudtunError(thrown).message}`);
      }
    }
  }

  /** Lets what was said go out, for a while: whoever is there may have more to say, or may not read. */
  #hangUp(socket: Socket): void {
    const slow = this.#context.world.clock.after(REQUEST_LIMIT, () => socket.destroy(), { background: true });
    socket.once('close', () => slow.cancel());
    socket.end(() => socket.destroy());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#unused?.cancel();
    await this.#set[Symbol.asyncDispose]();
    for (const socket of this.#connections) socket.destroy();
  }

  async #answer(request: Request, say: (reply: Reply) => void, signal: AbortSignal): Promise<void> {
    switch (request.do) {
      case 'list': {
        const { pid } = this.#context.world;
        say({ say: 'list', tunnels: this.#set.list(), pid, startedAt: this.#startedAt });
        break;
      }
      case 'up':
        await this.#up(request, say);
        break;
      case 'down':
        await this.#down(request, say);
        break;
      case 'watch':
        await this.#watch(request.names, say, signal);
        break;
    }
  }

  async #up(
    { wishes, origin, isUnawaited }: Extract<Request, { do: 'up' }>,
    say: (reply: Reply) => void,
  ): Promise<void> {
    const world = worldOf(this.#context.world, origin);
    const told = this.#context.warnings.count;
    const catalogue = loadCatalogue(world);
    // Each wish fails with it.
    catalogue.catch(() => {});
    await Promise.all(
      wishes.map(async (wish) => {
        const { name } = wish;
        const accepted = Promise.withResolvers<void>();
        const opening = this.#set.up(world, wish, isUnawaited ? () => {} : say, accepted.resolve, catalogue).then(
          ({ isNew }) => say({ say: 'held', name, isNew }),
          (thrown: unknown) => say({ say: 'failed', name, error: asCloudtunError(thrown) }),
        );
        await (isUnawaited ? Promise.race([opening, accepted.promise]) : opening);
      }),
    );
    for (const message of this.#context.warnings.since(told)) say({ say: 'warning', message });
  }

  async #down({ names, cut }: Extract<Request, { do: 'down' }>, say: (reply: Reply) => void): Promise<void> {
    const wanted = names.length > 0 ? names : this.#set.names();
    const told = this.#context.warnings.count;
    await Promise.all(
      wanted.map(async (name) => {
        const local = this.#set.get(name)?.local ?? [];
        const report = await this.#set.down(name, cut === true ? 'cut' : 'drain', 'ended');
        if (report) say({ say: 'closed', name, report, local });
        else say({ say: 'failed', name, error: notHeld(name, this.#set.names()) });
      }),
    );
    for (const message of this.#context.warnings.since(told)) say({ say: 'warning', message });
  }

  async #watch(names: readonly string[], say: (reply: Reply) => void, signal: AbortSignal): Promise<void> {
    await Promise.all(
      names.map(async (name) => {
        const tunnel = this.#set.get(name);
        if (tunnel === undefined) {
          say({ say: 'failed', name, error: notHeld(name, this.#set.names()) });
          return;
        }
        using _listening = tunnel.listen(say);
        const { local } = tunnel;
        const left = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
        const report = await Promise.race([tunnel.closed, left]);
        if (report) say({ say: 'closed', name, report, local });
      }),
    );
  }

  async #drainAll(): Promise<void> {
    await Promise.all(this.#set.names().map((name) => this.#set.down(name, 'drain', 'ended')));
    this.#settleEnded();
  }

  #changed(): void {
    const { world } = this.#context;
    try {
      writeRecord(this.#statePath, {
        process: processIdentity(),
        startedAt: this.#startedAt,
        names: this.#set.names(),
      });
    } catch (error) {
      if (!this.#hasWarned) world.log.warn(`what is held cannot be noted: ${asCloudtunError(error).message}`);
      this.#hasWarned = true;
    }
    this.#lookIfUnused();
  }

  #lookIfUnused(): void {
    this.#unused?.cancel();
    if (this.#set.size > 0 || this.#connections.size > 0) return;
    this.#unused = this.#context.world.clock.after(UNUSED_LIMIT, this.#settleEnded);
  }
}

async function readRequest(line: string): Promise<Request> {
  const { parseRequest } = await import('./request-schema.ts');
  try {
    return parseRequest(decodeMessage(line));
  } catch (error) {
    throw new CloudtunError('CT_SUPERVISOR', 'the supervisor does not understand this request', {
      hint: 'it may be another version: cloudtun down, then start again',
      cause: error,
    });
  }
}

function notHeld(name: string, held: readonly string[]): CloudtunError {
  return new CloudtunError('CT_NOT_HELD', `${name} is not held`, {
    hint: held.length > 0 ? `held: ${held.slice(0, 10).join(', ')}` : 'nothing is held',
  });
}

import { isIP } from 'node:net';
import { ERROR_CATALOGUE } from '../domain/error-catalogue.ts';
import { asCloudtunError } from '../domain/errors.ts';
import type { Intervals } from '../domain/intervals.ts';
import type { Millis } from '../domain/millis.ts';
import { type CloudTarget, type Route, targetLabel } from '../domain/target.ts';
import type { TargetFinder } from '../providers/provider.ts';
import { unlessAborted } from '../runtime/deadline.ts';
import type { HostResolver } from '../runtime/resolve-host.ts';
import type { WakeWatch } from '../runtime/wake-watch.ts';
import type { World } from '../runtime/world.ts';
import type { TunnelRequest } from './broker-types.ts';
import { Whereabouts } from './core/whereabouts.ts';
import { findTarget } from './route.ts';
import type { SharedLooks } from './shared-looks.ts';

/** A tunnel that stands, as far as it is watched. */
export interface Watched {
  readonly route: Route;
  /** When it was used last; now, while it is. */
  readonly usedAt: Millis;
  moved(what: string): void;
}

export interface WhereaboutsOptions {
  readonly world: World;
  readonly intervals: Intervals;
  readonly wake: WakeWatch | undefined;
  readonly finder: TargetFinder;
  /** With the other tunnels of the process. @param key what is looked at, in the cloud of `finder` */
  readonly looks: SharedLooks;
  /** Which cloud, account and region the finder asks. */
  readonly place: string;
  readonly request: TunnelRequest;
  readonly resolveHost: HostResolver | undefined;
  /** The tunnels that stand. */
  readonly watched: () => readonly Watched[];
}

/** Unused tunnels are looked after for so long, in intervals, and ever more seldom; then no more until they are used again. */
const LOOKS_AFTER_USE = 10;
const MOST_SELDOM = 4;
/** A sign in the traffic may bring the next look forward, and not as often as there are such signs. */
const SOONEST_SHARE = 1 / 6;

/**
 * Looks from time to time whether what tunnels lead to is still there: the database at its address, the machine in between at work. What
 * cannot be asked (no network, no credentials, no permission) is no sign of anything: the traffic shows in time what is true.
 */
export class WhereaboutsWatch {
  readonly #options: WhereaboutsOptions;
  readonly #abort = new AbortController();
  /** Of each route, since its tunnel stands. */
  readonly #known = new WeakMap<Route, Whereabouts>();
  #timer: { cancel(): void } | undefined;
  #looking: Promise<void> | undefined;
  #lookedAt: Millis = 0;
  #doubtedAt: Millis = 0;
  #stopWake: (() => void) | undefined;

  constructor(options: WhereaboutsOptions) {
    this.#options = options;
  }

  /** From the first tunnel on. Does nothing the second time. */
  start(): void {
    if (this.#timer || this.#abort.signal.aborted) return;
    const { world, wake, intervals } = this.#options;
    this.#lookedAt = world.clock.now();
    this.#stopWake = wake?.onWake(() => this.soon(), intervals.wake);
    this.#arm(intervals.watch);
  }

  /** Something in the traffic, or in this machine, says that it may be worth a look now. */
  soon(): void {
    if (!this.#timer) return;
    const { world, intervals } = this.#options;
    // An answer from before the sign says nothing of it.
    this.#doubtedAt = world.clock.now();
    const soonest = this.#lookedAt + intervals.watch * SOONEST_SHARE;
    this.#arm(Math.max(0, soonest - world.clock.now()));
  }

  /** Resolves when nothing is asked any more. */
  async close(): Promise<void> {
    this.#abort.abort();
    this.#timer?.cancel();
    this.#stopWake?.();
    await this.#looking;
  }

  #arm(delay: Millis): void {
    this.#timer?.cancel();
    this.#timer = this.#options.world.clock.after(delay, () => this.#onTimer(), { background: true });
  }

  #onTimer(): void {
    // A look that takes long is not joined by a second one.
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
      if (!this.#abort.signal.aborted) this.#arm(this.#pause());
    });
  }

  /** Longer the longer nobody uses any of the tunnels. */
  #pause(): Millis {
    const { world, intervals, watched } = this.#options;
    const usedAt = Math.max(...watched().map((tunnel) => tunnel.usedAt), 0);
    const unusedFor = world.clock.now() - usedAt;
    return Math.min(Math.max(unusedFor, intervals.watch), MOST_SELDOM * intervals.watch);
  }

  async #look(): Promise<void> {
    const { world, intervals, watched } = this.#options;
    const now = world.clock.now();
    this.#lookedAt = now;
    const inUse = watched().filter(({ usedAt }) => now - usedAt <= LOOKS_AFTER_USE * intervals.watch);
    if (inUse.length === 0) return;
    try {
      await Promise.all([this.#lookAtNodes(inUse), this.#lookAtDatabase(inUse), this.#lookUpNames(inUse)]);
    } catch (thrown) {
      const { message, code } = asCloudtunError(thrown);
      if (!this.#abort.signal.aborted) world.log.debug(`could not see where the target is: ${message} (${code})`);
    }
  }

  /** Each machine in between once, by what names it for good. */
  async #lookAtNodes(inUse: readonly Watched[]): Promise<void> {
    const { finder } = this.#options;
    const nodes = new Map(inUse.map(({ route }) => [route.node.id, route.node]));
    for (const node of nodes.values()) {
      if (node.kind !== 'machine') continue;
      try {
        await this.#shared(`machine ${node.id}`, (signal) => finder.findMachine(node.id, { mustExist: true }, signal));
      } catch (thrown) {
        const error = asCloudtunError(thrown);
        if (ERROR_CATALOGUE[error.code].kind !== 'target') throw error;
        const what = `${targetLabel(node)} cannot be gone through any more: ${error.message}`;
        for (const tunnel of inUse) if (tunnel.route.node.id === node.id) tunnel.moved(what);
      }
    }
  }

  async #lookAtDatabase(inUse: readonly Watched[]): Promise<void> {
    const { request, finder } = this.#options;
    if (request.kind !== 'database') return;
    let now: CloudTarget;
    try {
      const { text, reader = false, via = [] } = request;
      const key = `database ${JSON.stringify([text, reader, via])}`;
      now = await this.#shared(key, (signal) => findTarget(finder, request, signal));
    } catch (thrown) {
      // It is failing over, or stopped: where it will be is not known yet.
      if (ERROR_CATALOGUE[asCloudtunError(thrown).code].kind === 'target') return;
      throw thrown;
    }
    if (now.kind !== 'database') return;
    for (const tunnel of inUse) {
      const what = this.#of(tunnel.route).database(now);
      if (what !== undefined) tunnel.moved(what);
    }
  }

  async #lookUpNames(inUse: readonly Watched[]): Promise<void> {
    const { resolveHost } = this.#options;
    if (resolveHost === undefined) return;
    for (const tunnel of inUse) {
      const { host } = tunnel.route.to;
      if (host === undefined || isIP(host) !== 0) continue;
      const addresses = await unlessAborted(resolveHost(host), this.#abort.signal);
      const what = addresses && this.#of(tunnel.route).addresses(host, addresses);
      if (what !== undefined) tunnel.moved(what);
    }
  }

  /** What others were told a moment ago is told to this tunnel too. */
  #shared<Value>(what: string, look: (signal: AbortSignal) => Promise<Value>): Promise<Value> {
    const { looks, place, intervals, world } = this.#options;
    const notBefore = Math.max(this.#doubtedAt, world.clock.now() - intervals.watch * SOONEST_SHARE);
    const asked = looks.ask(`${place} ${what}`, notBefore, look);
    return unlessAborted(asked, this.#abort.signal);
  }

  #of(route: Route): Whereabouts {
    let known = this.#known.get(route);
    if (known === undefined) {
      known = new Whereabouts(route.target.kind === 'database' ? route.target : undefined);
      this.#known.set(route, known);
    }
    return known;
  }
}

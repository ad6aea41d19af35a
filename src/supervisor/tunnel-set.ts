import { endOrphans, ORPHANS_AT_ONCE, type OrphanReport } from '../broker/orphans.ts';
import { type Catalogue, NO_CATALOGUE } from '../config/catalogue.ts';
import { loadCatalogue } from '../config/load.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { CloseReason, ForwardReport } from '../forward/forward-types.ts';
import type { App, AppQuestion } from '../plan/app.ts';
import { planNamed } from '../plan/named-plan.ts';
import { planSignature } from '../plan/plan-key.ts';
import { questionOf, type TunnelPlan } from '../plan/tunnel-plan.ts';
import type { World } from '../runtime/world.ts';
import { type HeldListener, HeldTunnel } from './held-tunnel.ts';
import type { HeldStatus, TunnelWish } from './protocol.ts';
import { Turnstile } from './turnstile.ts';

/** Tunnels that ended by themselves and are still shown; the oldest are forgotten. */
const LOST_LIMIT = 32;

/**
 * Tunnels that are being opened at the same time. Each asks the cloud several times before its session is started; two hundred at once
 * are told that this is too much, or are cut off. Guessed: the most that is not slower than fewer.
 */
const OPENING_AT_ONCE = 16;

/** What a set needs of `compose.ts`. */
export interface SetContext {
  openApp(world: World, question: AppQuestion): Promise<App>;
  farPortOf(target: string): Promise<number | undefined>;
  /** Told of every tunnel that is held, and of every one that is no longer. */
  onChange?(): void;
  onOrphans?(orphans: readonly OrphanReport[]): void;
}

interface Held {
  readonly tunnel: HeldTunnel;
  readonly signature: string;
  /** Settles when it is ready; rejects with what kept it from that. */
  readonly opening: Promise<void>;
}

/** One App for all tunnels that ask the same clouds in the same world; disposed after the last of them. */
interface SharedApp {
  readonly app: Promise<App>;
  uses: number;
}

/** The tunnels that one process holds, by name: the supervisor's, and those of `up --foreground`. Disposing it cuts all. */
export class TunnelSet implements AsyncDisposable {
  readonly #context: SetContext;
  readonly #turnstile = new Turnstile(OPENING_AT_ONCE);
  readonly #held = new Map<string, Held>();
  readonly #lost = new Map<string, HeldTunnel>();
  readonly #apps = new Map<string, SharedApp>();
  readonly #ending = new Set<Promise<void>>();

  constructor(context: SetContext) {
    this.#context = context;
  }

  /** How many are held. */
  get size(): number {
    return this.#held.size;
  }

  names(): readonly string[] {
    return [...this.#held.keys()];
  }

  get(name: string): HeldTunnel | undefined {
    return this.#held.get(name)?.tunnel;
  }

  /** Those that are held, then those that ended by themselves. */
  list(): readonly HeldStatus[] {
    const lost = [...this.#lost].filter(([name]) => !this.#held.has(name)).map(([, tunnel]) => tunnel);
    return [...[...this.#held.values()].map(({ tunnel }) => tunnel), ...lost].map((tunnel) => tunnel.status());
  }

  /**
   * Holds a tunnel. Resolves when it is ready; at once with `isNew` false where it is held as wished already.
   *
   * @param onHeld called when it is held, and being opened
   * @param catalogue read once by who wishes for many
   * @throws CT_HELD_OTHERWISE; what the plan, binding and opening throw: then it is not held
   */
  async up(
    world: World,
    wish: TunnelWish,
    listener: HeldListener,
    onHeld: () => void = () => {},
    catalogue: Promise<Catalogue> = loadCatalogue(world),
  ): Promise<{ readonly isNew: boolean }> {
    const plan = await planNamed(wish.name, wish.flags, await catalogue, (target) => this.#context.farPortOf(target));
    return this.#hold(world, wish, plan, listener, onHeld);
  }

  /** Undefined when no such tunnel is held. */
  async down(name: string, how: 'drain' | 'cut', because: CloseReason): Promise<ForwardReport | undefined> {
    this.#lost.delete(name);
    const held = this.#held.get(name);
    if (held === undefined) return undefined;
    held.tunnel[how](because);
    const report = await held.tunnel.closed;
    await Promise.all(this.#ending);
    return report;
  }

  /** The plans that wishes stand for by a catalogue as it is now, with their signatures. */
  async signatures(
    wishes: readonly TunnelWish[],
    catalogue: Catalogue = NO_CATALOGUE,
  ): Promise<ReadonlyMap<string, string>> {
    const planned = wishes.map(async (wish) => {
      const plan = await planNamed(wish.name, wish.flags, catalogue, (target) => this.#context.farPortOf(target));
      return [wish.name, signatureOf(wish, plan)] as const;
    });
    return new Map(await Promise.all(planned));
  }

  /** Of what is held. */
  heldSignatures(): ReadonlyMap<string, string> {
    return new Map([...this.#held].map(([name, { signature }]) => [name, signature]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { tunnel } of this.#held.values()) tunnel.cut('ended');
    await Promise.all([...this.#held.values()].map(({ tunnel }) => tunnel.closed));
    await Promise.all(this.#ending);
  }

  async #hold(
    world: World,
    wish: TunnelWish,
    plan: TunnelPlan,
    listener: HeldListener,
    onHeld: () => void,
  ): Promise<{ readonly isNew: boolean }> {
    const signature = signatureOf(wish, plan);
    const before = this.#held.get(wish.name);
    if (before !== undefined) {
      if (before.signature !== signature) throw heldOtherwise(wish.name);
      using _listening = before.tunnel.listen(listener);
      await before.opening;
      return { isNew: false };
    }
    const opening = Promise.withResolvers<void>();
    // Somebody may have to wait for it, and nobody need.
    opening.promise.catch(() => {});
    const appKey = appKeyOf(world, plan);
    const app = await this.#useApp(appKey, world, plan);
    const raced = this.#held.get(wish.name);
    if (raced !== undefined) {
      await this.#leaveApp(appKey);
      return this.#hold(world, wish, plan, listener, onHeld);
    }
    const tunnel = new HeldTunnel(app, {
      name: wish.name,
      plan,
      isProbed: wish.flags.noProbe !== true,
      isOnDemand: wish.flags.onDemand === true,
      turn: (signal) => this.#turnstile.enter(signal),
    });
    this.#held.set(wish.name, { tunnel, signature, opening: opening.promise });
    this.#lost.delete(wish.name);
    this.#context.onChange?.();
    onHeld();
    void tunnel.closed.then((report) => this.#forget(wish.name, tunnel, report, appKey));
    using _listening = tunnel.listen(listener);
    try {
      await tunnel.open();
      opening.resolve();
      return { isNew: true };
    } catch (error) {
      opening.reject(error);
      await tunnel.closed;
      throw error;
    }
  }

  #forget(name: string, tunnel: HeldTunnel, report: ForwardReport, appKey: string): void {
    if (this.#held.get(name)?.tunnel === tunnel) this.#held.delete(name);
    if (report.reason === 'lost') this.#lost.set(name, tunnel);
    const [oldest] = this.#lost.keys();
    if (this.#lost.size > LOST_LIMIT && oldest !== undefined) this.#lost.delete(oldest);
    const leaving = this.#leaveApp(appKey).finally(() => this.#ending.delete(leaving));
    this.#ending.add(leaving);
    this.#context.onChange?.();
  }

  async #useApp(key: string, world: World, plan: TunnelPlan): Promise<App> {
    let shared = this.#apps.get(key);
    if (shared === undefined) {
      shared = { app: this.#openApp(world, plan), uses: 0 };
      this.#apps.set(key, shared);
    }
    shared.uses += 1;
    try {
      return await shared.app;
    } catch (error) {
      this.#apps.delete(key);
      throw error;
    }
  }

  async #openApp(world: World, plan: TunnelPlan): Promise<App> {
    const app = await this.#context.openApp(world, questionOf(plan));
    await this.#endOrphans(app);
    return app;
  }

  /**
   * Sessions of processes that were killed, of a supervisor too: none is left unnoticed. A supervisor may have left more than are ended
   * at one start, and this one starts once.
   */
  async #endOrphans(app: App): Promise<void> {
    for (;;) {
      const reports = await endOrphans(app, new AbortController().signal);
      this.#context.onOrphans?.(reports);
      // What could not be ended comes again with every try.
      if (reports.length < ORPHANS_AT_ONCE || reports.some(({ outcome }) => outcome !== 'ended')) return;
    }
  }

  async #leaveApp(key: string): Promise<void> {
    const shared = this.#apps.get(key);
    if (shared === undefined) return;
    shared.uses -= 1;
    if (shared.uses > 0) return;
    this.#apps.delete(key);
    const app = await shared.app;
    await app[Symbol.asyncDispose]();
  }
}

/** Which target it is matters only where its name has to tell the cloud. */
function appKeyOf({ env }: World, plan: TunnelPlan): string {
  const { cloud, target, said, selection } = questionOf(plan);
  return JSON.stringify([env, cloud ?? target, said, selection]);
}

function signatureOf({ flags }: TunnelWish, plan: TunnelPlan): string {
  return JSON.stringify([planSignature(plan), flags.onDemand === true, flags.noProbe === true]);
}

function heldOtherwise(name: string): CloudtunError {
  return new CloudtunError('CT_HELD_OTHERWISE', `${name} is held with other settings`, {
    hint: `close it first: cloudtun down ${name}`,
  });
}

import { loadCatalogue } from '../config/load.ts';
import { asCloudtunError } from '../domain/errors.ts';
import type { ForwardReport } from '../forward/forward-types.ts';
import { expandGroups } from '../plan/named-plan.ts';
import type { World } from '../runtime/world.ts';
import { changesBetween } from './core/desired-state.ts';
import type { HeldListener } from './held-tunnel.ts';
import type { WishFlags } from './protocol.ts';
import { type SetContext, TunnelSet } from './tunnel-set.ts';

export interface ForegroundOptions {
  readonly world: World;
  /** Targets and groups, as they were typed; groups are looked up again with every reload. */
  readonly names: readonly string[];
  readonly flags: WishFlags;
  readonly context: SetContext;
  readonly onEvent: HeldListener;
  /** A tunnel is over that nobody asked to close. */
  readonly onClosed: (name: string, report: ForwardReport) => void;
}

/** The tunnels of `up --foreground`: the set of a catalogue's names, kept in this process, and read again when told to. */
export class Foreground implements AsyncDisposable {
  readonly set: TunnelSet;
  /** Settles when no tunnel is left and none is being replaced. */
  readonly ended: Promise<void>;
  readonly #options: ForegroundOptions;
  readonly #settleEnded: () => void;
  #isReloading = false;
  #isEnding = false;

  constructor(options: ForegroundOptions) {
    this.#options = options;
    this.set = new TunnelSet(options.context);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#settleEnded = resolve;
  }

  /**
   * Brings all of them up; resolves when all are ready.
   *
   * @throws the first failure, after everything was closed again
   */
  async start(): Promise<void> {
    const names = expandGroups(this.#options.names, await loadCatalogue(this.#options.world));
    const failures = (await Promise.all(names.map((name) => this.#up(name)))).filter((each) => each !== undefined);
    if (failures.length === 0) return;
    await this.drain();
    throw failures[0];
  }

  /**
   * Reads the catalogue again: new tunnels are opened, those that are gone are drained, changed ones replaced, all others untouched. An
   * invalid file changes nothing.
   *
   * @throws CT_CONFIG, and what the plans of changed targets throw
   */
  async reload(): Promise<void> {
    if (this.#isReloading || this.#isEnding) return;
    this.#isReloading = true;
    try {
      const { world, flags } = this.#options;
      const catalogue = await loadCatalogue(world);
      const names = expandGroups(this.#options.names, catalogue);
      const wished = await this.set.signatures(
        names.map((name) => ({ name, flags })),
        catalogue,
      );
      const { open, close, replace } = changesBetween(this.set.heldSignatures(), wished);
      world.log.warn(`reloaded: ${describe({ open, close, replace })}`);
      await Promise.all([...close, ...replace].map((name) => this.set.down(name, 'drain', 'ended')));
      for (const failure of await Promise.all([...open, ...replace].map((name) => this.#up(name)))) {
        if (failure) world.log.warn(`${failure.message} (${failure.code})`);
      }
    } finally {
      this.#isReloading = false;
      this.#lookIfEnded();
    }
  }

  /** Lets connections end, then closes all. */
  async drain(): Promise<void> {
    this.#isEnding = true;
    await Promise.all(this.set.names().map((name) => this.set.down(name, 'drain', 'interrupted')));
    this.#settleEnded();
  }

  cut(): void {
    this.#isEnding = true;
    for (const name of this.set.names()) void this.set.down(name, 'cut', 'interrupted');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true;
    await this.set[Symbol.asyncDispose]();
    this.#settleEnded();
  }

  /** @returns what kept it from being ready */
  async #up(name: string) {
    const { world, flags, onEvent, onClosed } = this.#options;
    try {
      await this.set.up(world, { name, flags }, onEvent);
    } catch (thrown) {
      return asCloudtunError(thrown);
    }
    const tunnel = this.set.get(name);
    // For as long as it lives; `up` listens until it is ready.
    tunnel?.listenLater(onEvent);
    void tunnel?.closed.then((report) => {
      onClosed(name, report);
      this.#lookIfEnded();
    });
    return undefined;
  }

  #lookIfEnded(): void {
    if (this.set.size === 0 && !this.#isReloading) this.#settleEnded();
  }
}

function describe(change: Readonly<Record<'open' | 'close' | 'replace', readonly string[]>>): string {
  const words = { open: 'opening', close: 'closing', replace: 'replacing' } as const;
  const said = (['open', 'close', 'replace'] as const)
    .filter((key) => change[key].length > 0)
    .map((key) => `${words[key]} ${change[key].join(', ')}`);
  return said.length === 0 ? 'nothing changed' : said.join('; ');
}

import type { Dialer, TunnelStream } from '../domain/dialer.ts';
import type { RemoteEndpoint } from '../domain/endpoint.ts';
import { asCloudtunError, CloudtunError } from '../domain/errors.ts';
import { INTERVALS, type Intervals } from '../domain/intervals.ts';
import type { Millis } from '../domain/millis.ts';
import { endingBy } from '../domain/session-ending.ts';
import type { TunnelEventListener } from '../domain/tunnel-event.ts';
import { unlessAborted } from '../runtime/deadline.ts';
import type { WakeWatch } from '../runtime/wake-watch.ts';
import type { World } from '../runtime/world.ts';
import type { Hop } from './broker-types.ts';
import { needsPerson, Renewal } from './core/renewal.ts';
import { openAgain } from './open-again.ts';

/** Clients that hammer do not become logins that hammer (guessed; as long as a person would wait before trying again). */
const FAILURE_REST: Millis = 1_000;

export interface HopDialerOptions {
  /** For events. */
  readonly name: string;
  readonly onEvent: TunnelEventListener;
  readonly intervals?: Intervals | undefined;
  readonly wake?: WakeWatch | undefined;
}

/**
 * A dialer over a login that is made at the first dial, shared by all, and made again after it broke, as tunnels are (core/renewal.ts):
 * who dials then is held for a while, attempts come ever more seldom, and every login tells why it ended. Streams of a login that broke
 * are destroyed with it; the next dial opens a new one. Disposing it logs out.
 */
export class HopDialer implements Dialer {
  readonly #world: World;
  readonly #logIn: (signal: AbortSignal) => Promise<Hop>;
  readonly #options: HopDialerOptions;
  readonly #renewal: Renewal;
  #hasOpenedBefore = false;
  #isSignedOut = false;
  readonly #lifetime = new AbortController();
  #current: Hop | undefined;
  #opening: Promise<Hop> | undefined;
  #failure: { readonly error: unknown; readonly until: Millis } | undefined;

  /** @param logIn called whenever there is no login that stands */
  constructor(world: World, logIn: (signal: AbortSignal) => Promise<Hop>, options: HopDialerOptions) {
    this.#world = world;
    this.#logIn = logIn;
    this.#options = options;
    this.#renewal = new Renewal(options.intervals);
  }

  /**
   * The login, made if there is none.
   *
   * @throws what logging in throws, for a second also to others who ask; the reason of `signal`
   */
  async open(signal: AbortSignal): Promise<Hop> {
    signal.throwIfAborted();
    if (this.#lifetime.signal.aborted) throw this.#lifetime.signal.reason;
    if (this.#current) return this.#current;
    if (this.#failure && this.#world.clock.now() < this.#failure.until) throw this.#failure.error;
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    return unlessAborted(this.#opening, signal);
  }

  /** @throws as `open`; CT_FORWARD_PROHIBITED, CT_REMOTE_REFUSED: what the machine says of the endpoint */
  async dial(to: RemoteEndpoint, signal: AbortSignal): Promise<TunnelStream> {
    const hop = await this.open(signal);
    try {
      return await hop.dial(to, signal);
    } catch (error) {
      // It broke between two lines: once more, on a new one.
      if (signal.aborted || this.#current === hop || asCloudtunError(error).code !== 'CT_TUNNEL_LOST') throw error;
      return (await this.open(signal)).dial(to, signal);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#lifetime.signal.aborted) {
      this.#lifetime.abort(new CloudtunError('CT_INTERRUPTED', 'the tunnel is closed'));
    }
    await this.#opening?.catch(() => {});
    await this.#current?.[Symbol.asyncDispose]();
  }

  async #open(): Promise<Hop> {
    const { clock } = this.#world;
    const { intervals = INTERVALS, wake, onEvent } = this.#options;
    const startedAt = clock.now();
    try {
      return await openAgain(
        {
          world: this.#world,
          intervals,
          wake,
          renewal: this.#renewal,
          open: async (_, signal) => this.#opened(await this.#logIn(signal), startedAt),
          failed: (error, attempt, heldFor) => this.#tellAttempt(error, attempt, heldFor),
          lost: () => {},
        },
        this.#lifetime.signal,
      );
    } catch (error) {
      this.#failure = { error, until: clock.now() + FAILURE_REST };
      throw error;
    } finally {
      if (this.#isSignedOut && this.#current) {
        this.#isSignedOut = false;
        onEvent({ type: 'signed-in', after: clock.now() - startedAt });
      }
    }
  }

  async #opened(hop: Hop, startedAt: Millis): Promise<Hop> {
    const { signal } = this.#lifetime;
    const { clock, random } = this.#world;
    const { onEvent } = this.#options;
    if (signal.aborted) {
      await hop[Symbol.asyncDispose]();
      throw signal.reason;
    }
    this.#failure = undefined;
    this.#current = hop;
    this.#renewal.opened(clock.now());
    const sessionId = this.#sessionId;
    if (this.#hasOpenedBefore) {
      onEvent({ type: 'renewed', sessionId, how: 'new-session', downtime: clock.now() - startedAt });
    }
    this.#hasOpenedBefore = true;
    void hop.closed.then((error) => {
      if (this.#current === hop) {
        this.#current = undefined;
        this.#renewal.closed(clock.now(), random.fraction());
      }
      if (error === undefined) return;
      const next = signal.aborted ? ('nothing' as const) : ('new-session' as const);
      onEvent({
        type: 'session-ended',
        sessionId,
        reason: error.message,
        error,
        ending: { ...endingBy(error), next },
      });
    });
    return hop;
  }

  /** `login to inner`: what events call it. */
  get #sessionId(): string {
    return `login to ${this.#options.name}`;
  }

  #tellAttempt(error: CloudtunError, attempt: number, heldFor: Millis): void {
    if (!this.#hasOpenedBefore) return;
    const { onEvent } = this.#options;
    const sessionId = this.#sessionId;
    if (!needsPerson(error)) onEvent({ type: 'reconnecting', sessionId, reason: error.message, attempt });
    else if (!this.#isSignedOut) onEvent({ type: 'sign-in-needed', error, heldFor });
    this.#isSignedOut ||= needsPerson(error);
  }
}

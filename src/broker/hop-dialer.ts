import type { Dialer, TunnelStream } from '../domain/dialer.ts';
import type { RemoteEndpoint } from '../domain/endpoint.ts';
import { asCloudtunError, CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { unlessAborted } from '../runtime/deadline.ts';
import type { World } from '../runtime/world.ts';
import type { Hop } from './broker-types.ts';

/** Clients that hammer do not become logins that hammer (guessed; as long as a person would wait before trying again). */
const FAILURE_REST: Millis = 1_000;

/**
 * A dialer over a login that is made at the first dial, shared by all, and made again after it broke. Streams of a login that broke are
 * destroyed with it; the next dial opens a new one. Disposing it logs out.
 */
export class HopDialer implements Dialer {
  readonly #world: World;
  readonly #logIn: (signal: AbortSignal) => Promise<Hop>;
  readonly #lifetime = new AbortController();
  #current: Hop | undefined;
  #opening: Promise<Hop> | undefined;
  #failure: { readonly error: unknown; readonly until: Millis } | undefined;

  /** @param logIn called whenever there is no login that stands */
  constructor(world: World, logIn: (signal: AbortSignal) => Promise<Hop>) {
    this.#world = world;
    this.#logIn = logIn;
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
    const { signal } = this.#lifetime;
    const { clock } = this.#world;
    try {
      const hop = await this.#logIn(signal);
      if (signal.aborted) {
        await hop[Symbol.asyncDispose]();
        throw signal.reason;
      }
      this.#failure = undefined;
      this.#current = hop;
      void hop.closed.then(() => {
        if (this.#current === hop) this.#current = undefined;
      });
      return hop;
    } catch (error) {
      this.#failure = { error, until: clock.now() + FAILURE_REST };
      throw error;
    }
  }
}

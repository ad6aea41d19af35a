import type { Dialer, TunnelStream } from '../domain/dialer.ts';
import { formatEndpoint, type RemoteEndpoint } from '../domain/endpoint.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import type { TunnelEventListener } from '../domain/tunnel-event.ts';
import type { Timer } from '../runtime/clock.ts';
import type { World } from '../runtime/world.ts';
import type { Tunnel } from '../transport/tunnel.ts';
import type { TunnelFigures } from './broker-types.ts';
import { Destination, type DestinationOptions } from './destination.ts';
import { NO_FIGURES, sumFigures } from './sum-figures.ts';

/** What is needed to open a tunnel to an endpoint. */
export interface DestinationHops {
  /**
   * Opens a tunnel, its session included.
   *
   * @param isFresh whether the route is to be asked for again, because the machine of the last one may be gone
   */
  open(to: RemoteEndpoint, isFresh: boolean, onEvent: TunnelEventListener, signal: AbortSignal): Promise<Tunnel>;
  readonly onEvent: TunnelEventListener;
  /** The tunnel goes on, and a stream of it was refused. */
  readonly onRefused: (to: RemoteEndpoint, error: CloudtunError) => void;
  /** The far side refused a stream, or kept silent: it may be elsewhere. */
  readonly onDoubt?: () => void;
  /** Called once when an endpoint cannot be reached any more and trying again makes no sense. */
  readonly onLost: (error: CloudtunError) => void;
}

/** For endpoints that come up as clients name them: how many are kept, and for how long without a stream. */
export interface OnDemand {
  readonly count: number;
  readonly idle: Millis;
}

/** Guessed: a browser's page asks for less, accounts have limits that nobody publishes, and a session costs two calls. */
export const ON_DEMAND: OnDemand = { count: 16, idle: 3 * 60_000 };

/** A destination, and who uses it: streams, and dials under way. */
interface Place {
  readonly key: string;
  readonly destination: Destination;
  uses: number;
  timer: Timer | undefined;
}

/**
 * A dialer over tunnels that each reach one endpoint (an SSM session is started for one host and port): a tunnel for each
 * destination, opened at the first dial to it and opened again after it was lost. What happens to one holds up no other. Disposing
 * it ends all of them.
 *
 * With `onDemand` a destination that nobody used for a while is closed, and where there are too many the one that was unused for the
 * longest time makes room.
 */
export class Destinations implements Dialer {
  readonly #world: World;
  readonly #hops: DestinationHops;
  readonly #onDemand: OnDemand | undefined;
  readonly #options: DestinationOptions;
  /** The one that was used last is the last. */
  readonly #places = new Map<string, Place>();
  /** Closed because they were unused, their sessions not ended yet. */
  readonly #closing = new Set<Promise<void>>();
  #isDisposed = false;
  /** Of places that were closed. */
  #past: TunnelFigures = NO_FIGURES;

  constructor(world: World, hops: DestinationHops, onDemand?: OnDemand, options: DestinationOptions = {}) {
    this.#world = world;
    this.#hops = hops;
    this.#onDemand = onDemand;
    this.#options = options;
  }

  /** Those that have a tunnel. */
  inUse(): readonly Destination[] {
    return [...this.#places.values()]
      .map(({ destination }) => destination)
      .filter(({ usedAt }) => usedAt !== undefined);
  }

  /** @throws CT_DESTINATION_LIMIT when every destination is in use and this would be one too many; see Destination */
  async dial(to: RemoteEndpoint, signal: AbortSignal): Promise<TunnelStream> {
    const place = this.#placeOf(to);
    place.uses += 1;
    place.timer?.cancel();
    try {
      const stream = await place.destination.dial(signal);
      if (stream.closed) this.#leave(place);
      else stream.once('close', () => this.#leave(place));
      return stream;
    } catch (error) {
      this.#leave(place);
      throw error;
    }
  }

  /** Of all endpoints, those that were closed because nobody used them included. */
  stats(): TunnelFigures {
    return sumFigures([this.#past, ...[...this.#places.values()].map(({ destination }) => destination.stats())]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    for (const { timer } of this.#places.values()) timer?.cancel();
    const open = [...this.#places.values()].map(({ destination }) => destination[Symbol.asyncDispose]());
    await Promise.all([...open, ...this.#closing]);
  }

  #placeOf(to: RemoteEndpoint): Place {
    const key = formatEndpoint(to).toLowerCase();
    let place = this.#places.get(key);
    if (!place) {
      this.#makeRoom(to);
      place = {
        key,
        destination: new Destination(this.#world, to, this.#hops, this.#options),
        uses: 0,
        timer: undefined,
      };
      if (this.#isDisposed) void place.destination[Symbol.asyncDispose]();
    }
    this.#places.delete(key);
    this.#places.set(key, place);
    return place;
  }

  #makeRoom(to: RemoteEndpoint): void {
    if (!this.#onDemand || this.#places.size < this.#onDemand.count) return;
    const unused = [...this.#places.values()].find(({ uses }) => uses === 0);
    if (!unused) throw tooMany(to, [...this.#places.keys()]);
    this.#close(unused);
  }

  #leave(place: Place): void {
    place.uses -= 1;
    if (!this.#onDemand || place.uses > 0 || this.#isDisposed || this.#places.get(place.key) !== place) return;
    place.timer = this.#world.clock.after(this.#onDemand.idle, () => this.#close(place), { background: true });
  }

  #close(place: Place): void {
    place.timer?.cancel();
    this.#places.delete(place.key);
    const closing = place.destination[Symbol.asyncDispose]().finally(() => {
      this.#past = sumFigures([this.#past, place.destination.stats()]);
      this.#closing.delete(closing);
    });
    this.#closing.add(closing);
  }
}

function tooMany(to: RemoteEndpoint, used: readonly string[]): CloudtunError {
  return new CloudtunError(
    'CT_DESTINATION_LIMIT',
    `${formatEndpoint(to)} would be one more than the ${used.length} destinations that may be in use at the same time`,
    { details: used.map((each) => ['in use', each]), hint: 'end the connections to one of them, then try again' },
  );
}

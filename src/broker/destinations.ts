import type { Dialer, TunnelStream } from '../domain/dialer.ts';
import { formatEndpoint, type RemoteEndpoint } from '../domain/endpoint.ts';
import type { CloudtunError } from '../domain/errors.ts';
import type { TunnelEventListener } from '../domain/tunnel-event.ts';
import type { World } from '../runtime/world.ts';
import type { Tunnel } from '../transport/tunnel.ts';
import { Destination } from './destination.ts';

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
  /** Called once when an endpoint cannot be reached any more and trying again makes no sense. */
  readonly onLost: (error: CloudtunError) => void;
}

/**
 * A dialer over tunnels that each reach one endpoint (an SSM session is started for one host and port): a tunnel for each
 * destination, opened at the first dial to it and opened again after it was lost. Disposing it ends all of them.
 */
export class Destinations implements Dialer {
  readonly #world: World;
  readonly #hops: DestinationHops;
  readonly #open = new Map<string, Destination>();
  #isDisposed = false;

  constructor(world: World, hops: DestinationHops) {
    this.#world = world;
    this.#hops = hops;
  }

  dial(to: RemoteEndpoint, signal: AbortSignal): Promise<TunnelStream> {
    const key = formatEndpoint(to).toLowerCase();
    let destination = this.#open.get(key);
    if (!destination) {
      destination = new Destination(this.#world, to, this.#hops);
      this.#open.set(key, destination);
      if (this.#isDisposed) void destination[Symbol.asyncDispose]();
    }
    return destination.dial(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    await Promise.all([...this.#open.values()].map((destination) => destination[Symbol.asyncDispose]()));
  }
}

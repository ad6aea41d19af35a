import { formatEndpoint, type RemoteEndpoint } from '../domain/endpoint.ts';
import type { ClientReport } from '../forward/local-client.ts';
import type { DestinationCount } from './socks-types.ts';

/** Destinations that are told apart; those that come later are counted together. */
const COUNT_LIMIT = 1_024;
const OTHERS = 'others';

/** What went where, over the life of a port. */
export class DestinationCounts {
  readonly #counts = new Map<string, DestinationCount>();

  /** A connection to a destination is over. */
  add(to: RemoteEndpoint, { bytesUp, bytesDown, error }: ClientReport): void {
    const name = formatEndpoint(to);
    const key = this.#counts.has(name) || this.#counts.size < COUNT_LIMIT ? name : OTHERS;
    const before = this.#counts.get(key) ?? { to: key, connections: 0, failed: 0, bytesUp: 0, bytesDown: 0 };
    this.#counts.set(key, {
      to: key,
      connections: before.connections + 1,
      failed: before.failed + (error === undefined ? 0 : 1),
      bytesUp: before.bytesUp + bytesUp,
      bytesDown: before.bytesDown + bytesDown,
    });
  }

  /** The one with most bytes first. */
  list(): readonly DestinationCount[] {
    const bytes = ({ bytesUp, bytesDown }: DestinationCount) => bytesUp + bytesDown;
    return [...this.#counts.values()].sort((a, b) => bytes(b) - bytes(a));
  }
}

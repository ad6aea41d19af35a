import type { RemoteEndpoint } from '../../domain/endpoint.ts';
import type { CloudtunError } from '../../domain/errors.ts';
import type { SlabPool } from '../../domain/slab-pool.ts';
import type { IapRelayTicket, TicketSource } from '../../domain/ticket.ts';
import type { World } from '../../runtime/world.ts';
import type { MessagePump } from '../ws/message-pump.ts';
import type { LinkEnd, LinkPhase, Verdict } from './core/close-codes.ts';
import type { MemoryBudget } from './core/memory-budget.ts';
import type { RelayOptions } from './relay-options.ts';
import type { SpareConnections } from './spare-connections.ts';

export interface RelayLinkHandler {
  /** Payload in order; together `byteCount` bytes. The memory may be kept. */
  deliver(pieces: readonly Buffer[], byteCount: number): void;
  /** Bytes were sent or confirmed: more may be written, less is unconfirmed. */
  progressed(): void;
  /** Another websocket carries the session on. */
  resumed(): void;
  /** The far connection has ended, or the session has with an error. At most once, not after `close`. */
  over(error: CloudtunError | undefined): void;
}

/** What the links of a tunnel have in common. */
export interface RelayLinkParts {
  readonly world: World;
  readonly source: TicketSource<IapRelayTicket>;
  readonly to: RemoteEndpoint;
  readonly options: RelayOptions;
  readonly slabs: SlabPool;
  readonly uploads: MemoryBudget;
  readonly spares: SpareConnections;
}

/** One websocket, from the request on. */
export interface Attempt {
  phase: LinkPhase;
  readonly name: string;
  pump: MessagePump | undefined;
  longClose: LinkEnd['longClose'];
  /** With undefined: it carries the session now. */
  readonly settle: (verdict: Verdict | undefined) => void;
}

/** What one go brings. */
export interface Turn {
  pieces: Buffer[];
  byteCount: number;
  /** DATA frames. */
  sent: number;
  failure: CloudtunError | undefined;
}

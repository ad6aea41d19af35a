import type { RemoteEndpoint } from '../../domain/endpoint.ts';
import type { ErrorCode } from '../../domain/error-catalogue.ts';
import type { CloudtunError } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import type { IapRelayTicket, TicketSource } from '../../domain/ticket.ts';
import type { World } from '../../runtime/world.ts';

/** Clients that hammer on a tunnel that is refused must not become calls that hammer on the cloud's APIs. */
const ANSWER_LASTS_MS: Millis = 10_000;

/** Refusals behind which there may be several causes: 4003, 4033, 4047, silence, and HTTP 4xx. */
const WORTH_ASKING: ReadonlySet<ErrorCode> = new Set([
  'CT_REMOTE_REFUSED',
  'CT_DENIED',
  'CT_TARGET_NOT_FOUND',
  'CT_REMOTE_SILENT',
  'CT_UPGRADE_REFUSED',
]);

/** Asks the cloud's own APIs what a refusal of the relay means: one question at a time, and one answer for all who ask soon after. */
export class SecondOpinion {
  readonly #world: World;
  readonly #source: TicketSource<IapRelayTicket>;
  readonly #to: RemoteEndpoint;
  #about: ErrorCode | undefined;
  #askedAt: Millis = Number.NEGATIVE_INFINITY;
  #answer: Promise<CloudtunError> | undefined;
  #isAsking = false;

  constructor(world: World, source: TicketSource<IapRelayTicket>, to: RemoteEndpoint) {
    this.#world = world;
    this.#source = source;
    this.#to = to;
  }

  /** A more exact error, or the same one. Never rejects. @param signal of the tunnel: the answer serves others too */
  async on(error: CloudtunError, signal: AbortSignal): Promise<CloudtunError> {
    if (this.#source.diagnose === undefined || !WORTH_ASKING.has(error.code)) return error;
    const isFresh = this.#isAsking || this.#world.clock.now() - this.#askedAt < ANSWER_LASTS_MS;
    if (isFresh) return this.#about === error.code ? await this.#answer! : error;
    this.#about = error.code;
    this.#isAsking = true;
    this.#answer = this.#source.diagnose(error, this.#to, signal).finally(() => {
      this.#isAsking = false;
      this.#askedAt = this.#world.clock.now();
    });
    return await this.#answer;
  }
}

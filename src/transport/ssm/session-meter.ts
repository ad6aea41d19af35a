/** How one session does: bytes and messages a second, round trip, health. Fed while bytes move; has no timer of its own. */
import type { Millis } from '../../domain/millis.ts';
import { RateWindow } from '../../domain/rate-window.ts';
import type { SessionFigures, SessionHealth } from '../../domain/session-figures.ts';
import type { Clock } from '../../runtime/clock.ts';
import { sessionHealth } from './core/session-health.ts';
import type { PlaceableSession } from './core/session-placement.ts';
import type { DataLink } from './data-link.ts';
import type { PortCarrier } from './port-session.ts';

const TRAFFIC_INTERVAL: Millis = 1_000;

export class SessionMeter {
  readonly #clock: Clock;
  readonly #onTraffic: (() => void) | undefined;
  readonly #messages = new RateWindow();
  readonly #rateUp = new RateWindow();
  readonly #rateDown = new RateWindow();
  #heardAt: Millis;
  #toldAt: Millis;

  /** @param onTraffic called while bytes move, once a second at most */
  constructor(clock: Clock, onTraffic: (() => void) | undefined) {
    this.#clock = clock;
    this.#onTraffic = onTraffic;
    this.#heardAt = clock.now();
    this.#toldAt = this.#heardAt;
  }

  /** Something came from the service. */
  heard(link: DataLink, { bytesUp, bytesDown }: PortCarrier): void {
    const now = this.#clock.now();
    this.#heardAt = now;
    this.#rateUp.sample(bytesUp, now);
    this.#rateDown.sample(bytesDown, now);
    this.#messages.sample(link.channel.expectedNumber, now);
    if (now - this.#toldAt < TRAFFIC_INTERVAL) return;
    this.#toldAt = now;
    this.#onTraffic?.();
  }

  /** For whoever chooses a session for a stream. */
  placeable(link: DataLink, carrier: PortCarrier): PlaceableSession {
    return {
      canOpen: carrier.canOpen,
      health: this.#health(link, carrier),
      openStreams: carrier.openCount,
      messageRate: this.#messages.rate(link.channel.expectedNumber, this.#clock.now()),
    };
  }

  figures(link: DataLink, carrier: PortCarrier): SessionFigures {
    const { openCount, bytesUp, bytesDown } = carrier;
    const now = this.#clock.now();
    return {
      id: link.ticket.sessionId,
      health: this.#health(link, carrier),
      openStreams: openCount,
      bytesUp,
      bytesDown,
      rateUp: this.#rateUp.rate(bytesUp, now),
      rateDown: this.#rateDown.rate(bytesDown, now),
      roundTripMs: link.channel.sending.roundTrip.srtt,
    };
  }

  #health({ isConnected, channel }: DataLink, { isStalled }: PortCarrier): SessionHealth {
    const { roundTrip, timeouts } = channel.sending;
    return sessionHealth({
      isConnected,
      isStalled,
      timeouts,
      roundTrip: roundTrip.srtt,
      shortestRoundTrip: roundTrip.min,
      quietFor: this.#clock.now() - this.#heardAt,
    });
  }
}

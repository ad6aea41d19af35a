/**
 * Drives one data channel over websockets that come and go: opens, repairs, acknowledges, resumes (docs/protocol/ssm.md,
 * "Resumption"). Knows no handshake and no payload; PortSession stands on it.
 */
import { asCloudtunError, CloudtunError } from '../../domain/errors.ts';
import { INTERVALS } from '../../domain/intervals.ts';
import type { Millis } from '../../domain/millis.ts';
import type { SessionEnding } from '../../domain/session-ending.ts';
import { SignInWait } from '../../domain/sign-in-wait.ts';
import type { SsmSessionTicket, TicketSource } from '../../domain/ticket.ts';
import type { Timer } from '../../runtime/clock.ts';
import { pauseUnlessWoken } from '../../runtime/wake-watch.ts';
import type { World } from '../../runtime/world.ts';
import { connectPump, type MessagePump, type PumpEnd } from '../ws/message-pump.ts';
import type { Message } from './core/client-message.ts';
import { DataChannel, type PayloadSource } from './core/data-channel.ts';
import { openDataChannelText } from './core/open-data-channel.ts';
import { reconnectDelay } from './core/reconnect-delay.ts';
import type { SsmOptions } from './session-options.ts';
import { upgradeRefused } from './upgrade-refused.ts';

/** The official client waits 45 s; a person does not. */
const CONNECT_TIMEOUT_MS = 15_000;
/** Added to every timer. With it acknowledges still leave within 7 ms; the agent's time-out is a round trip plus at least 10 ms. */
const TIMER_SLACK_MS = 1;
/** Data messages made in one go before the event loop gets its turn. */
const SEND_BURST = 256;

export interface DataLinkHandler {
  deliver(payloadType: number, payload: Buffer): boolean;
  serviceMessage(message: Message): void;
  /** A batch of messages was delivered; acknowledges were counted. */
  batchEnd(): void;
  /** Where data comes from; undefined before the session may send any. */
  readonly source: PayloadSource | undefined;
  /** The link is over and will not come back; exactly once. */
  lost(error: CloudtunError): void;
}

export class DataLink {
  readonly channel: DataChannel;
  readonly #world: World;
  readonly #source: TicketSource<SsmSessionTicket>;
  readonly #options: SsmOptions;
  readonly #handler: DataLinkHandler;
  readonly #clientId: string;
  readonly #clientVersion: string;
  readonly #abort = new AbortController();
  #ticket: SsmSessionTicket;
  #pump: MessagePump | undefined;
  #timer: Timer | undefined;
  #timerAt: Millis = Number.POSITIVE_INFINITY;
  #sendSoon = false;
  #batchAt: Millis | undefined;
  #isPaused = false;
  #isOver = false;
  /** Attempts since something was last heard: a socket that opens and closes at once must not start the delays anew. */
  #attempts = 0;
  #troubleSince: Millis = 0;
  #closeCode: number | undefined;

  constructor(
    world: World,
    source: TicketSource<SsmSessionTicket>,
    ticket: SsmSessionTicket,
    clientVersion: string,
    options: SsmOptions,
    handler: DataLinkHandler,
  ) {
    this.#world = world;
    this.#source = source;
    this.#ticket = ticket;
    this.#options = options;
    this.#handler = handler;
    this.#clientVersion = clientVersion;
    this.#clientId = world.random.uuid();
    this.channel = new DataChannel(
      {
        deliver: (payloadType, payload) => handler.deliver(payloadType, payload),
        serviceMessage: (message) => handler.serviceMessage(message),
      },
      {
        randomBytes: (byteCount) => world.random.bytes(byteCount),
        wall: () => world.clock.wall(),
        ...(options.maxPayload === undefined ? {} : { maxPayload: options.maxPayload }),
      },
    );
  }

  get isConnected(): boolean {
    return this.#pump?.isOpen ?? false;
  }

  /** For the record of how the session ended. */
  get facts(): Pick<SessionEnding, 'closeCode' | 'sent' | 'acknowledged' | 'received'> {
    const { sending, expectedNumber } = this.channel;
    return {
      ...(this.#closeCode !== undefined && { closeCode: this.#closeCode }),
      sent: sending.nextNumber,
      acknowledged: sending.acknowledgedBelow,
      received: expectedNumber,
    };
  }

  get #intervals() {
    return this.#options.intervals ?? INTERVALS;
  }

  get #wake() {
    const { wake } = this.#options;
    const { wake: every, wakeProbe: probe } = this.#intervals;
    return wake && { watch: wake, every, probe };
  }

  get ticket(): SsmSessionTicket {
    return this.#ticket;
  }

  /** Opens the first websocket. @throws CloudtunError */
  async connect(signal: AbortSignal): Promise<void> {
    await this.#open(AbortSignal.any([signal, this.#abort.signal]));
  }

  async #open(signal: AbortSignal): Promise<void> {
    const url = this.#ticket.streamUrl;
    const headers = (await this.#source.signUpgrade?.(new URL(url))) ?? {};
    const pump = await connectPump(
      this.#world,
      url,
      {
        headers,
        agent: this.#options.route.agentFor(url),
        ca: this.#options.route.ca,
        timeout: CONNECT_TIMEOUT_MS,
        keepAlive: this.#intervals.keepAlive,
        pongDeadline: this.#intervals.deadPeer,
        wake: this.#wake,
        refused: (host, status, headers) => upgradeRefused(host, status, headers, this.#ticket.sessionId),
      },
      signal,
    ).catch((error: unknown) => this.#explain(error, signal));
    if (this.#isOver) return pump.terminate();
    this.#pump = pump;
    // The last batch of the old socket may have been cut before its end.
    this.#batchAt = undefined;
    pump.sendText(
      openDataChannelText({
        requestId: this.#world.random.uuid(),
        token: this.#ticket.token.reveal(),
        clientId: this.#clientId,
        clientVersion: this.#clientVersion,
      }),
    );
    pump.start({
      message: (bytes) => this.#receive(pump, bytes),
      batchEnd: () => this.#batchEnd(pump),
      drained: () => this.send(),
      closed: (end) => this.#closed(pump, end),
    });
    if (this.#isPaused) pump.pause();
  }

  /** @throws what the cloud says of a denial, which may be that the credentials have expired; anything else as it is */
  async #explain(error: unknown, signal: AbortSignal): Promise<never> {
    const isDenied = error instanceof CloudtunError && error.code === 'CT_DENIED';
    if (!isDenied || this.#source.diagnose === undefined) throw error;
    throw await this.#source.diagnose(error, this.#ticket.to, signal);
  }

  /** A control message of the session; returns its number, undefined where none can be sent now. */
  sendControl(payloadType: number, payload: Uint8Array): number | undefined {
    const number = this.channel.sendControl(payloadType, payload, this.#world.clock.now(), this.#transmit);
    this.#pump?.flush();
    this.#schedule();
    return number;
  }

  /** Something waits at the source: sends it in the next turn, together with whatever else comes up until then. */
  wake(): void {
    if (this.#sendSoon) return;
    this.#sendSoon = true;
    queueMicrotask(() => {
      this.#sendSoon = false;
      this.send();
    });
  }

  /** Sends what the window, the socket and the source allow. */
  send(): void {
    const pump = this.#pump;
    const source = this.#handler.source;
    const now = this.#world.clock.now();
    if (pump?.isOpen) {
      if (source && !this.channel.isPaused(now) && pump.hasRoom) {
        const sent = this.channel.sendFrom(source, SEND_BURST, now, pump.transmit);
        if (sent > 0) this.channel.sendAcknowledges(now, pump.transmit, true);
        if (sent === SEND_BURST) this.#world.clock.soon(() => this.send());
      }
      // Also without a source or while paused: acknowledges and repeated messages wait in the batch.
      pump.flush();
    }
    this.#schedule();
  }

  /** Stops reading from the websocket, also from the next one; what was read already still comes. */
  pause(): void {
    this.#isPaused = true;
    this.#pump?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#pump?.resume();
    try {
      this.channel.roomAgain();
      this.#handler.batchEnd();
    } catch (thrown) {
      this.#fail(asCloudtunError(thrown));
    }
  }

  /** Ends the link: a close frame, then nothing more. Idempotent. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timer?.cancel();
    this.#abort.abort(new CloudtunError('CT_SESSION_ENDED', 'the session was closed'));
    this.#pump?.close();
  }

  readonly #transmit = (bytes: Buffer, offset: number, byteCount: number): void => {
    this.#pump?.transmit(bytes, offset, byteCount);
  };

  #receive(pump: MessagePump, bytes: Buffer): void {
    if (this.#isOver || pump !== this.#pump) return;
    this.#attempts = 0;
    // One reading of the clock for all messages of a batch.
    if (this.#batchAt === undefined) this.#batchAt = this.#world.clock.now();
    try {
      this.channel.receive(bytes, this.#batchAt);
    } catch (thrown) {
      this.#fail(asCloudtunError(thrown));
    }
  }

  #batchEnd(pump: MessagePump): void {
    if (this.#isOver || pump !== this.#pump) return;
    const now = this.#batchAt ?? this.#world.clock.now();
    this.#batchAt = undefined;
    try {
      this.#handler.batchEnd();
      this.channel.sendAcknowledges(now, pump.transmit);
      this.channel.repair(now, pump.transmit);
      this.send();
    } catch (thrown) {
      this.#fail(asCloudtunError(thrown));
    }
  }

  #schedule(): void {
    const wakeAt = this.channel.wakeAt;
    if (this.#isOver || wakeAt === undefined || !this.isConnected) return;
    // An earlier timer that fires for nothing is cheaper than a new timer for every message.
    if (this.#timer && this.#timerAt <= wakeAt) return;
    this.#timer?.cancel();
    this.#timerAt = wakeAt;
    // Timers may fire a fraction of a millisecond early, and would then be armed again for nothing.
    const delay = Math.max(1, Math.ceil(wakeAt - this.#world.clock.now()) + TIMER_SLACK_MS);
    this.#timer = this.#world.clock.after(delay, () => this.#onTimer());
  }

  #onTimer(): void {
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
    const pump = this.#pump;
    if (this.#isOver || !pump?.isOpen) return;
    const now = this.#world.clock.now();
    this.channel.sendAcknowledges(now, pump.transmit);
    this.channel.repair(now, pump.transmit);
    this.send();
  }

  #closed(pump: MessagePump, end: PumpEnd): void {
    if (this.#isOver || pump !== this.#pump) return;
    this.#pump = undefined;
    this.#closeCode = end.code;
    this.#options.wake?.look();
    // Nothing can be sent until there is another websocket.
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
    const reason = end.error?.message ?? `closed with code ${end.code}${end.reason ? ` "${end.reason}"` : ''}`;
    void this.#resume(reason);
  }

  /** Gets the session back, or reports it lost. Close codes do not matter: only channel_closed ends a session. */
  async #resume(reason: string): Promise<void> {
    const began = this.#world.clock.now();
    if (this.#attempts === 0) this.#troubleSince = began;
    const limit = this.#options.reconnectLimit ?? this.#intervals.resume;
    const signal = this.#abort.signal;
    const { sessionId } = this.#ticket;
    const { clock } = this.#world;
    const signIn = new SignInWait(this.#intervals, this.#options.onEvent);
    while (!this.#isOver) {
      const attempt = ++this.#attempts;
      if (!signIn.isOn) this.#options.onEvent({ type: 'reconnecting', sessionId, reason, attempt });
      try {
        const pause = Math.max(reconnectDelay(attempt, this.#world.random.fraction()), signIn.pause);
        if ((await pauseUnlessWoken(clock, pause, this.#wake, signal)) === 'woken') this.#attempts = 1;
        const renewed = await this.#source.renew(this.#ticket, signal);
        if (renewed === undefined) {
          return this.#fail(
            new CloudtunError('CT_SESSION_ENDED', `the cloud does not resume session ${sessionId}: it is over`),
          );
        }
        this.#ticket = renewed;
        await this.#open(signal);
        if (this.#isOver) return;
        this.channel.reconnected(this.#world.clock.now(), this.#transmit);
        signIn.passed(clock.now());
        this.#options.onEvent({
          type: 'renewed',
          sessionId,
          how: 'resumed',
          downtime: this.#world.clock.now() - began,
        });
        this.send();
        return;
      } catch (thrown) {
        if (this.#isOver) return;
        const error = asCloudtunError(thrown);
        if (signIn.isWorthIt(error, clock.now())) continue;
        if (!error.retryable) return this.#fail(error);
        if (this.#world.clock.now() - this.#troubleSince > limit) {
          return this.#fail(
            new CloudtunError(
              'CT_TUNNEL_LOST',
              `session ${sessionId} could not be resumed in ${Math.round(limit / 1000)} s: ${error.message}`,
              {
                cause: error,
              },
            ),
          );
        }
      }
    }
  }

  #fail(error: CloudtunError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timer?.cancel();
    this.#abort.abort(error);
    this.#pump?.terminate(error);
    this.#handler.lost(error);
  }
}

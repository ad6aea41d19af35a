/**
 * One Port session with one managed node: start, handshake, then streams by mux or one raw connection by basic mode
 * (docs/protocol/ssm.md, "Handshake", "Port sessions"). Survives lost websockets through DataLink; ends with its session.
 */
import type { TunnelStream } from '../../domain/dialer.ts';
import { formatEndpoint, type RemoteEndpoint } from '../../domain/endpoint.ts';
import { asCloudtunError, CloudtunError } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import { endingBy, type SessionEndCause } from '../../domain/session-ending.ts';
import type { SessionFigures } from '../../domain/session-figures.ts';
import type { SsmSessionTicket, TicketSource } from '../../domain/ticket.ts';
import type { Timer } from '../../runtime/clock.ts';
import type { World } from '../../runtime/world.ts';
import { BasicPort } from './basic-port.ts';
import { closeError } from './close-error.ts';
import { channelClosedReason } from './core/channel-closed.ts';
import type { Message } from './core/client-message.ts';
import type { PayloadSource } from './core/data-channel.ts';
import { ACTION_STATUS, Handshake, type HandshakeRequest, handshakeResponseText } from './core/handshake.ts';
import type { PlaceableSession } from './core/session-placement.ts';
import { BASIC_CLIENT_VERSION, CLIENT_VERSION } from './core/version-gates.ts';
import { FLAG, PAYLOAD_TYPE } from './core/wire-format.ts';
import { DataLink, type DataLinkHandler } from './data-link.ts';
import { MuxPort } from './mux-port.ts';
import { SessionMeter } from './session-meter.ts';
import type { PortSessionOptions } from './session-options.ts';

/** The agent waits 15 s for our answer, we a little longer for all of it. */
const HANDSHAKE_LIMIT_MS = 20_000;
/** How long the end of a session may wait for its flag to be acknowledged. */
const TERMINATE_GRACE_MS = 1_000;

/** What a session carries after its handshake. */
export interface PortCarrier extends PayloadSource {
  /** Whether another stream may be opened now. */
  readonly canOpen: boolean;
  readonly isStalled: boolean;
  readonly openCount: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  open(): TunnelStream;
  deliver(payload: Buffer): boolean;
  /** ConnectToPortError. */
  connectFailed(): void;
  batchEnd(acknowledgedBelow: number): void;
  abort(error: Error | undefined): void;
}

export interface SessionEnd {
  readonly error?: CloudtunError;
  readonly reason: string;
}

export class PortSession implements DataLinkHandler {
  readonly #world: World;
  readonly #source: TicketSource<SsmSessionTicket>;
  readonly #options: PortSessionOptions;
  readonly #to: RemoteEndpoint;
  readonly #handshake = new Handshake();
  readonly #opened = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<SessionEnd>();
  readonly #flagAcknowledged = Promise.withResolvers<void>();
  #link: DataLink | undefined;
  #carrier: PortCarrier | undefined;
  #mode: 'mux' | 'basic' = 'mux';
  #agentVersion = '';
  #terminateNumber: number | undefined;
  #isOver = false;
  #closing: Promise<void> | undefined;
  #phaseAt: Millis;
  readonly #meter: SessionMeter;

  private constructor(
    world: World,
    source: TicketSource<SsmSessionTicket>,
    to: RemoteEndpoint,
    options: PortSessionOptions,
  ) {
    this.#world = world;
    this.#source = source;
    this.#to = to;
    this.#options = options;
    this.#phaseAt = world.clock.now();
    this.#meter = new SessionMeter(world.clock, options.onTraffic);
    this.#opened.promise.catch(() => {});
  }

  /**
   * Starts a session and brings it to where streams can be opened.
   *
   * @throws CloudtunError; the cloud session is terminated then
   */
  static async start(
    world: World,
    source: TicketSource<SsmSessionTicket>,
    to: RemoteEndpoint,
    options: PortSessionOptions,
    signal: AbortSignal,
  ): Promise<PortSession> {
    const session = new PortSession(world, source, to, options);
    await session.#start(signal);
    return session;
  }

  /** Settles when the session is over, whoever ended it; never rejects. */
  get ended(): Promise<SessionEnd> {
    return this.#ended.promise;
  }

  /** Being closed, or over. */
  get isEnding(): boolean {
    return this.#closing !== undefined || this.#isOver;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get mode(): 'mux' | 'basic' {
    return this.#mode;
  }

  get agentVersion(): string {
    return this.#agentVersion;
  }

  get carrier(): PortCarrier {
    if (this.#carrier === undefined) throw new CloudtunError('CT_INTERNAL', 'a session was used before its handshake');
    return this.#carrier;
  }

  /** For whoever chooses a session for a stream; after the handshake only. */
  placeable(): PlaceableSession {
    const { canOpen, ...rest } = this.#meter.placeable(this.#link!, this.carrier);
    return { ...rest, canOpen: canOpen && !this.isEnding };
  }

  /** How it does now; after the handshake only. */
  figures(): SessionFigures {
    return this.#meter.figures(this.#link!, this.carrier);
  }

  get sessionId(): string {
    return this.#link?.ticket.sessionId ?? '';
  }

  async #start(signal: AbortSignal): Promise<void> {
    const ticket = await this.#source.issue(this.#to, signal);
    this.#phase('StartSession');
    const { sessionId, document } = ticket;
    this.#options.onEvent({ type: 'session-started', sessionId, ...(document !== undefined && { document }) });
    const clientVersion = this.#options.forceBasic ? BASIC_CLIENT_VERSION : CLIENT_VERSION;
    const link = new DataLink(this.#world, this.#source, ticket, clientVersion, this.#options, this);
    this.#link = link;
    const onAbort = () => this.#opened.reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    let limit: Timer | undefined;
    try {
      await link.connect(signal);
      this.#phase('websocket');
      limit = this.#world.clock.after(HANDSHAKE_LIMIT_MS, () => this.#opened.reject(this.#handshakeTimeout(ticket)));
      await this.#opened.promise;
      this.#phase('handshake');
    } catch (thrown) {
      await this.close(asCloudtunErrorUnlessAborted(thrown, signal));
      throw thrown;
    } finally {
      limit?.cancel();
      signal.removeEventListener('abort', onAbort);
    }
  }

  #handshakeTimeout(ticket: SsmSessionTicket): CloudtunError {
    return new CloudtunError(
      'CT_TIMEOUT',
      `the agent on ${ticket.targetId} did not begin the session within ${HANDSHAKE_LIMIT_MS / 1000} s`,
      {
        hint: 'its agent may be busy or broken; restart it on the machine, or choose another one with --via',
      },
    );
  }

  #phase(phase: string): void {
    const now = this.#world.clock.now();
    this.#options.onEvent({ type: 'phase', phase, duration: now - this.#phaseAt });
    this.#phaseAt = now;
  }

  get source(): PayloadSource | undefined {
    // Input before HandshakeComplete is acknowledged and thrown away by the agent.
    return this.#handshake.state === 'complete' && !this.#isOver ? this.#carrier : undefined;
  }

  deliver(payloadType: number, payload: Buffer): boolean {
    switch (payloadType) {
      case PAYLOAD_TYPE.handshakeRequest:
        this.#answer(payload);
        return true;
      case PAYLOAD_TYPE.handshakeComplete:
        this.#complete(payload);
        return true;
      case PAYLOAD_TYPE.flag:
        if (payload.length >= 4 && payload.readUInt32BE(0) === FLAG.connectToPortError) this.#carrier?.connectFailed();
        return true;
      case PAYLOAD_TYPE.output:
        if (this.#carrier === undefined) {
          throw new CloudtunError(
            'CT_PROTO_HANDSHAKE',
            'the far end sent data before a handshake: this is not a Port session',
            {
              hint: 'the Session document must be of type Port; leave --document out to use the standard ones',
            },
          );
        }
        return this.#carrier.deliver(payload);
      default:
        // An unknown payload type is acknowledged, consumes its number and is otherwise ignored.
        return true;
    }
  }

  #answer(payload: Buffer): void {
    const request = this.#handshake.request(payload);
    if (request === undefined) return;
    const refusal = this.#refusalOf(request);
    const outcomes = request.actions.map((actionType) => ({
      actionType,
      status:
        actionType === 'SessionType'
          ? refusal
            ? ACTION_STATUS.failed
            : ACTION_STATUS.success
          : ACTION_STATUS.unsupported,
      ...(actionType === 'SessionType'
        ? refusal
          ? { error: refusal.message }
          : {}
        : { error: `Unsupported action ${actionType}` }),
    }));
    const errors = outcomes.flatMap((outcome) => (outcome.error ? [outcome.error] : []));
    this.#agentVersion = request.agentVersion;
    const type = request.session?.properties.type;
    this.#mode = request.features.mux && type === 'LocalPortForwarding' && !this.#options.forceBasic ? 'mux' : 'basic';
    this.#carrier =
      this.#mode === 'mux'
        ? this.#muxPort()
        : new BasicPort({
            outputWaiting: () => this.#link?.wake(),
            pause: () => this.#link?.pause(),
            resume: () => this.#link?.resume(),
            closed: () => void this.close(),
          });
    const clientVersion = this.#options.forceBasic ? BASIC_CLIENT_VERSION : CLIENT_VERSION;
    this.#link?.sendControl(
      PAYLOAD_TYPE.handshakeResponse,
      Buffer.from(handshakeResponseText(clientVersion, outcomes, errors)),
    );
    if (refusal) throw refusal;
    // One connection a session, and every message a part of it: there is nothing that could be sent besides.
    if (this.#mode === 'basic' && this.#options.keepActive) {
      this.#options.onEvent({ type: 'warning', message: 'the agent is too old for --keep-active; idle sessions end' });
    }
  }

  #muxPort(): MuxPort {
    const link = this.#link!;
    return new MuxPort(this.#world, {
      outputWaiting: () => link.wake(),
      pause: () => link.pause(),
      resume: () => link.resume(),
      stalled: (heldByteCount) =>
        this.#options.onEvent({ type: 'session-stalled', sessionId: this.sessionId, heldByteCount }),
      streamReset: (error) => this.#options.onEvent({ type: 'stream-reset', sessionId: this.sessionId, error }),
      nextNumber: () => link.channel.sending.nextNumber,
      destination: formatEndpoint(this.#to),
      keepActive: this.#options.keepActive === true,
    });
  }

  /** Why this session cannot be used for ports. */
  #refusalOf(request: HandshakeRequest): CloudtunError | undefined {
    if (request.kms) {
      return new CloudtunError(
        'CT_PROTO_HANDSHAKE',
        'the far end asks for KMS encryption, which Port sessions do not have',
      );
    }
    if (request.session?.sessionType === 'Port') return undefined;
    return new CloudtunError(
      'CT_DOCUMENT_INVALID',
      `the Session document opens a ${request.session?.sessionType ?? 'nameless'} session, not a port`,
      {
        hint: 'name a document of type Port with --document, or leave it out',
      },
    );
  }

  #complete(payload: Buffer): void {
    const { customerMessage } = this.#handshake.complete(payload);
    if (customerMessage) this.#options.onEvent({ type: 'warning', message: customerMessage });
    this.#opened.resolve();
  }

  serviceMessage(message: Message): void {
    if (message.messageType !== 'channel_closed') return;
    // The echo of our own TerminateSession.
    if (this.#closing !== undefined) return this.#flagAcknowledged.resolve();
    const reason = channelClosedReason(message.payload);
    // The cloud ended it. Its ticket is released all the same: whoever keeps an account of sessions learns by it.
    this.#closing = this.#release();
    this.#end({ reason: reason || 'the service closed the session', error: closeError(reason, this.#to) });
    this.#link?.close();
  }

  batchEnd(): void {
    const link = this.#link!;
    const acknowledgedBelow = link.channel.sending.acknowledgedBelow;
    this.#carrier?.batchEnd(acknowledgedBelow);
    if (this.#carrier) this.#meter.heard(link, this.#carrier);
    if (this.#terminateNumber !== undefined && acknowledgedBelow > this.#terminateNumber)
      this.#flagAcknowledged.resolve();
  }

  lost(error: CloudtunError): void {
    this.#end({ reason: error.message, error }, error.code === 'CT_SESSION_ENDED' ? 'not-resumed' : undefined);
    // The cloud may think that the session is alive.
    this.#closing ??= this.#release();
  }

  #end(end: SessionEnd, cause?: SessionEndCause): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#flagAcknowledged.resolve();
    this.#carrier?.abort(end.error);
    this.#opened.reject(end.error ?? new CloudtunError('CT_SESSION_ENDED', end.reason));
    this.#options.onEvent({
      type: 'session-ended',
      sessionId: this.sessionId,
      ...end,
      ending: { ...endingBy(end.error), ...(cause && { cause }), ...this.#link?.facts },
    });
    this.#ended.resolve(end);
  }

  async #release(): Promise<void> {
    const ticket = this.#link?.ticket;
    if (ticket)
      await this.#source.release(ticket).catch((thrown: unknown) =>
        this.#options.onEvent({
          type: 'warning',
          message: `session ${ticket.sessionId} could not be terminated: ${asCloudtunError(thrown).message}`,
        }),
      );
  }

  /** Ends streams, tells the agent and the cloud, closes the websocket. Idempotent; resolves when the cloud knows. */
  close(error?: CloudtunError, reason = 'closed'): Promise<void> {
    if (this.#closing === undefined) {
      // Set before it begins: ending the stream of basic mode comes back here, and a second flag may block the agent's reader.
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#closing = promise;
      resolve(this.#close(error, reason));
    }
    return this.#closing;
  }

  async #close(error: CloudtunError | undefined, reason: string): Promise<void> {
    if (this.#isOver) return this.#release();
    const link = this.#link;
    this.#carrier?.abort(error);
    const released = this.#release();
    if (link?.isConnected && this.#handshake.state === 'complete') {
      const flag = Buffer.alloc(4);
      flag.writeUInt32BE(FLAG.terminateSession);
      // The FINs of the streams leave first.
      link.send();
      this.#terminateNumber = link.sendControl(PAYLOAD_TYPE.flag, flag);
      const patience = Promise.withResolvers<void>();
      const timer = this.#world.clock.after(TERMINATE_GRACE_MS, () => patience.resolve());
      await Promise.race([this.#flagAcknowledged.promise, patience.promise]);
      timer.cancel();
    }
    const cause = this.#handshake.state === 'complete' ? undefined : 'not-begun';
    this.#end({ reason: error ? error.message : reason, ...(error && { error }) }, cause);
    link?.close();
    await released;
  }
}

function asCloudtunErrorUnlessAborted(thrown: unknown, signal: AbortSignal): CloudtunError | undefined {
  return signal.aborted ? undefined : asCloudtunError(thrown);
}

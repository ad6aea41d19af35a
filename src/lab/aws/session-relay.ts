/**
 * The service between one session's client and its agent: carries binary messages both ways, with the faults of the plan, and makes
 * the messages that only the service makes (docs/protocol/ssm.md, "The short form made by the service"). It lives as long as the
 * session; the client's websockets come and go.
 */
import type { Millis } from '../../domain/millis.ts';
import type { Timer } from '../../runtime/clock.ts';
import type { World } from '../../runtime/world.ts';
import { PAYLOAD_OFFSET } from '../../transport/ssm/core/wire-format.ts';
import { CutSchedule } from '../core/cut-schedule.ts';
import { seededFractions } from '../core/seeded.ts';
import type { ResolveDestination } from '../destination.ts';
import { ABRUPT, type ClientSocket } from '../websocket/client-socket.ts';
import type { Fate } from './core/faulty-link.ts';
import type { Observations } from './core/observations.ts';
import type { FaultBoard, FaultPlan } from './faults.ts';
import { NodeAgent } from './node-agent.ts';
import { RelayLink } from './relay-link.ts';
import { channelClosedMessage, publicationMessage } from './service-messages.ts';
import type { Session, SessionStore } from './sessions.ts';

/** Agent output kept for the first client; the relay of the recordings did the same: a late client sees two HandshakeRequests at once. */
const MAX_WAITING_FRAMES = 256;
/** Input kept for a blocked agent before the client's socket is not read any more: pings are answered until then. */
const MAX_BACKLOG_BYTES = 4 * 1024 * 1024;
/** Output under way on a slow link before the agent has to wait. */
const MAX_LINK_FRAMES = 8_192;
/** From `channel_closed` to the service's own close. */
const LINGER: Millis = 1_000;
const IDLE_ENDED = 'Your session has been terminated because it was idle for too long.';

const FIRST_LETTER = 4;
const INPUT_LETTER = 'i'.charCodeAt(0);
const OUTPUT_LETTER = 'o'.charCodeAt(0);

export interface SessionRelayOptions {
  readonly world: World;
  readonly session: Session;
  readonly sessions: SessionStore;
  readonly faults: FaultBoard;
  readonly observations: Observations;
  /** Sets this session's random picks apart from those of others. */
  readonly ordinal: number;
  readonly resolveDestination: ResolveDestination;
  readonly vpcCidrs: readonly string[];
  /** Nothing is left of it. */
  readonly gone: () => void;
}

type Direction = 'input' | 'output';

export class SessionRelay {
  readonly #options: SessionRelayOptions;
  readonly #sessionId: string;
  #agent: NodeAgent | undefined;
  #client: ClientSocket | undefined;
  #hasHadClient = false;
  #isOver = false;
  #waiting: Buffer[] = [];
  readonly #links: Readonly<Record<Direction, RelayLink>>;
  readonly #cuts: Readonly<Record<Direction, CutSchedule>> = { input: new CutSchedule(), output: new CutSchedule() };
  /** Data messages of the agent that came here. */
  #outputCount = 0;
  #lastInputAt: Millis;
  #idleTimer: Timer | undefined;
  #byeTimer: Timer | undefined;
  #connectedAt: Millis = 0;
  #lingerTimer: Timer | undefined;
  #isReadingPaused = false;
  /** The fault that keeps the client's input back; undefined: not now. */
  #keptInput: Buffer[] | undefined;
  #keptBytes = 0;

  constructor(options: SessionRelayOptions) {
    this.#options = options;
    this.#sessionId = options.session.sessionId;
    this.#links = { input: this.#linkFor('input'), output: this.#linkFor('output') };
    this.#lastInputAt = options.world.clock.now();
    options.observations.counters.sessions += 1;
    if (options.session.sessionType === 'Port') this.#agent = this.#startAgent();
    this.#watchIdle();
  }

  /** The client's websocket is open and its token was right. A websocket that was there before is closed. */
  attach(client: ClientSocket): void {
    const { observations, sessions, session, world } = this.#options;
    this.#client?.close(1000, 'replaced');
    this.#client = client;
    this.#isReadingPaused = false;
    const isFirst = !this.#hasHadClient;
    this.#hasHadClient = true;
    this.#connectedAt = world.clock.now();
    this.#lastInputAt = this.#connectedAt;
    observations.counters.websockets += 1;
    sessions.connected(this.#sessionId);
    if (session.sessionType !== 'Port') {
      const text = `Session type ${session.sessionType} is not served here`;
      sessions.end(this.#sessionId, 'agent', text);
      return;
    }
    if (this.#plan.startPublication) this.#sendPublication('start_publication');
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const frame of waiting) this.#links.output.carry(frame);
    this.#inject(0);
    this.#agent?.unpause();
    if (!isFirst && this.#plan.handshakeRequestAfterResume) this.#agent?.repeatHandshakeRequest();
    this.planChanged();
  }

  /** The client's websocket ended. */
  detached(client: ClientSocket): void {
    if (client === this.#client) this.#detach();
  }

  /** A binary message from the client. */
  fromClient(client: ClientSocket, frame: Buffer): void {
    if (client !== this.#client || this.#isOver) return;
    const verdict = this.#cuts.input.next(frame.length, this.#plan.cutInput);
    if (verdict !== 'none') {
      this.#cut(verdict === 'message' ? this.#plan.cutCode : ABRUPT);
      return;
    }
    this.#links.input.carry(frame);
  }

  clientDrained(): void {
    this.#agent?.wireDrained();
  }

  /** The session ended: the client is told, the agent stops. */
  end(output: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#agent?.cancel();
    this.#agent = undefined;
    this.#idleTimer?.cancel();
    this.#byeTimer?.cancel();
    this.#links.output.flush();
    this.#clearLinks();
    const client = this.#client;
    if (client === undefined) {
      this.#options.gone();
      return;
    }
    client.send(channelClosedMessage(this.#sessionId, output, this.#options.world));
    this.#lingerTimer = this.#options.world.clock.after(LINGER, () => {
      client.close(1000, '');
      this.#detach();
    });
  }

  /** The plan is another one now. */
  planChanged(): void {
    if (this.#isOver) return;
    if (this.#options.faults.isNodeDead(this.#options.session.targetId)) this.#agent?.die();
    this.#watchBye();
    this.#watchIdle();
    this.#pauseClient(this.#plan.pauseClient);
  }

  /** Ends everything at once, without a word to the client. */
  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#agent?.[Symbol.dispose]();
    this.#agent = undefined;
    this.#idleTimer?.cancel();
    this.#byeTimer?.cancel();
    this.#lingerTimer?.cancel();
    this.#clearLinks();
    this.#client?.terminate();
    this.#client = undefined;
  }

  get #plan(): FaultPlan {
    return this.#options.faults.plan(this.#sessionId);
  }

  #startAgent(): NodeAgent {
    const { world, session, observations, resolveDestination, vpcCidrs, sessions } = this.#options;
    const agent = new NodeAgent({
      world,
      session,
      observations,
      plan: () => this.#plan,
      resolveDestination,
      vpcCidrs,
      send: (memory, offset, byteCount) => this.#fromAgent(memory, offset, byteCount),
      isWireFull: () => (this.#client?.isFull ?? false) || this.#links.output.size > MAX_LINK_FRAMES,
      isClientConnected: () => this.#client !== undefined,
      isInputReliable: () => {
        const { cuts, inputLost, reordered } = observations.counters;
        return cuts === 0 && inputLost === 0 && reordered === 0;
      },
      unblocked: () => this.#boundBacklog(),
      ended: (output) => sessions.end(this.#sessionId, 'agent', output),
    });
    if (this.#options.faults.isNodeDead(session.targetId)) agent.die();
    return agent;
  }

  // Carrying

  #fromAgent(memory: Buffer, offset: number, byteCount: number): void {
    const isData = memory[offset + FIRST_LETTER] === OUTPUT_LETTER;
    if (isData) this.#outputCount += 1;
    const isCorrupted = isData && this.#plan.corruptOutput.includes(this.#outputCount);
    if (this.#client !== undefined && !isCorrupted && this.#links.output.isClear) {
      this.#transmit(memory, offset, byteCount);
    } else {
      // What travels or waits outlives this call, the memory does not.
      const frame = Buffer.from(memory.subarray(offset, offset + byteCount));
      if (isCorrupted) corrupt(frame);
      this.#carryOutput(frame);
    }
    if (!isData) return;
    this.#inject(this.#outputCount);
    if (this.#outputCount === this.#plan.agentDiesAfterOutput) this.#agent?.die();
  }

  #carryOutput(frame: Buffer): void {
    if (this.#client !== undefined) this.#links.output.carry(frame);
    else if (!this.#hasHadClient && this.#waiting.length < MAX_WAITING_FRAMES) this.#waiting.push(frame);
    else this.#options.observations.counters.outputDroppedAway += 1;
  }

  #linkFor(direction: Direction): RelayLink {
    const { seed } = this.#plan;
    const { world, ordinal } = this.#options;
    return new RelayLink({
      clock: world.clock,
      fraction: seededFractions(seed + ordinal * 7_919 + (direction === 'input' ? 0 : 104_729)),
      faults: () => this.#plan[direction],
      arrived: (frame) => this.#arrive(direction, frame),
      fate: (fate) => this.#count(direction, fate),
      moved: () => {
        if (direction === 'output') this.#agent?.wireDrained();
      },
    });
  }

  #arrive(direction: Direction, frame: Buffer): void {
    if (direction === 'output') this.#transmit(frame, 0, frame.length);
    else if (this.#keptInput === undefined) this.#toAgent(frame);
    else this.#keep(this.#keptInput, frame);
  }

  #keep(kept: Buffer[], frame: Buffer): void {
    kept.push(frame);
    this.#keptBytes += frame.length;
    this.#boundBacklog();
  }

  #toAgent(frame: Buffer): void {
    if (frame[FIRST_LETTER] === INPUT_LETTER) this.#lastInputAt = this.#options.world.clock.now();
    this.#agent?.receive(frame);
    this.#boundBacklog();
  }

  #transmit(memory: Buffer, offset: number, byteCount: number): void {
    const client = this.#client;
    if (client === undefined) {
      this.#options.observations.counters.outputDroppedAway += 1;
      return;
    }
    const verdict = this.#cuts.output.next(byteCount, this.#plan.cutOutput);
    if (verdict === 'none') {
      client.sendFrom(memory, offset, byteCount);
      return;
    }
    this.#options.observations.counters.outputLost += 1;
    if (verdict !== 'message') client.sendPart(memory.subarray(offset, offset + byteCount), verdict);
    this.#cut(verdict === 'message' ? this.#plan.cutCode : ABRUPT);
  }

  /** A blocked agent reads nothing: beyond the bound the client's socket is not read either. */
  #boundBacklog(): void {
    const isTooMuch = this.#keptBytes + (this.#agent?.backlogBytes ?? 0) > MAX_BACKLOG_BYTES;
    if (isTooMuch === this.#isReadingPaused) return;
    this.#isReadingPaused = isTooMuch;
    if (isTooMuch) this.#client?.pauseReading();
    else this.#client?.resumeReading();
  }

  #count(direction: Direction, fate: Fate): void {
    const { counters } = this.#options.observations;
    if (fate === 'lost') counters[direction === 'input' ? 'inputLost' : 'outputLost'] += 1;
    else if (fate === 'duplicated') counters.duplicated += 1;
    else if (fate === 'reordered') counters.reordered += 1;
  }

  // The client coming and going

  #detach(): void {
    this.#client = undefined;
    this.#byeTimer?.cancel();
    this.#byeTimer = undefined;
    this.#clearLinks();
    if (this.#isOver) {
      this.#lingerTimer?.cancel();
      this.#options.gone();
      return;
    }
    this.#options.sessions.disconnected(this.#sessionId);
    if (this.#plan.pauseWhenAway) this.#agent?.pause();
  }

  #clearLinks(): void {
    const { counters } = this.#options.observations;
    counters.inputLost += this.#links.input.clear();
    counters.outputLost += this.#links.output.clear();
  }

  #cut(code: number): void {
    this.#options.observations.counters.cuts += 1;
    this.#client?.close(code, this.#plan.cutReason);
    this.#detach();
  }

  #watchBye(): void {
    this.#byeTimer?.cancel();
    this.#byeTimer = undefined;
    const { byeAfterMs, byeCode, byeReason } = this.#plan;
    if (byeAfterMs === 0 || this.#client === undefined) return;
    const left = this.#connectedAt + byeAfterMs - this.#options.world.clock.now();
    const bye = () => {
      this.#options.observations.counters.cuts += 1;
      this.#client?.close(byeCode, byeReason);
      this.#detach();
    };
    this.#byeTimer = this.#options.world.clock.after(Math.max(0, left), bye, { background: true });
  }

  #watchIdle(): void {
    this.#idleTimer?.cancel();
    const { clock } = this.#options.world;
    const left = this.#lastInputAt + this.#plan.idleLimitMs - clock.now();
    if (left <= 0) {
      this.#options.sessions.end(this.#sessionId, 'service', IDLE_ENDED);
      return;
    }
    this.#idleTimer = clock.after(left, () => this.#watchIdle(), { background: true });
  }

  // What the service itself says

  #pauseClient(isPaused: boolean): void {
    if (isPaused === (this.#keptInput !== undefined) || this.#client === undefined) return;
    this.#sendPublication(isPaused ? 'pause_publication' : 'start_publication');
    const kept = this.#keptInput ?? [];
    this.#keptInput = isPaused ? [] : undefined;
    this.#keptBytes = 0;
    for (const frame of kept) this.#toAgent(frame);
  }

  #sendPublication(messageType: 'start_publication' | 'pause_publication'): void {
    this.#client?.send(publicationMessage(messageType, this.#options.world));
  }

  /** The malformed and the unexpected, by plan. */
  #inject(afterOutput: number): void {
    for (const injection of this.#plan.injections) {
      if (injection.afterOutput !== afterOutput) continue;
      const bytes = Buffer.from(injection.hex, 'hex');
      for (let count = 0; count < injection.repeat; count++) {
        if (injection.as === 'raw') this.#client?.sendRaw(bytes);
        else if (injection.as === 'text') this.#client?.sendText(bytes.toString('utf8'));
        else this.#client?.send(bytes);
      }
    }
  }
}

/** Turns the last payload bit, so that the digest is wrong and a later repeat is right. */
function corrupt(frame: Buffer): void {
  if (frame.length > PAYLOAD_OFFSET) frame[frame.length - 1]! ^= 1;
}

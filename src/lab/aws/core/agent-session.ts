/**
 * The agent's life in one port session: handshake, then a port (mux, basic or raw), then the end. Rules of docs/protocol/ssm.md,
 * "Handshake" and "Port sessions", the awkward ones included: input before HandshakeComplete is acknowledged and
 * thrown away, a second HandshakeResponse blocks the reader for good, right after Complete data may be refused for a while.
 *
 * ```text
 * asking ──response──> completing ──Complete sent──> opening ──usePort──> serving ──finish──> draining ──> over
 *    └──15 s, bad response──────────────────────────────────────────────────────────────────^
 * ```
 *
 * The driver starts the port when told (`startPort`), hands it over with `usePort`, and calls `tick` at `wakeAt`.
 */
import type { Millis } from '../../../domain/millis.ts';
import type { RandomBytes } from '../../../transport/ssm/core/message-writer.ts';
import { judgeAgent, judgeClient } from '../../../transport/ssm/core/version-gates.ts';
import { FLAG, PAYLOAD_TYPE } from '../../../transport/ssm/core/wire-format.ts';
import { AgentChannel, type Emit, type Verdict } from './agent-channel.ts';
import {
  HANDSHAKE_LIMIT,
  HANDSHAKE_TIMED_OUT,
  handshakeComplete,
  handshakeRequest,
  judgeResponse,
} from './agent-handshake.ts';
import type { Observations } from './observations.ts';

/** How the bytes of a session are to be understood; both sides compute it (docs/protocol/ssm.md, "Modes"). */
export type PortMode =
  | { readonly kind: 'mux'; readonly keepAlive: boolean }
  /** `redials`: `LocalPortForwarding` without mux; otherwise the session ends with its one connection. */
  | { readonly kind: 'plain'; readonly redials: boolean };

/** What a port does with input. */
export interface Port {
  take(payload: Buffer): Verdict;
  /** Flag DisconnectToPort. */
  disconnect(): void;
}

export interface AgentKnobs {
  readonly handshakeRequests: number;
  readonly completeBeforeAcknowledge: boolean;
  readonly notReadyMs: Millis;
  readonly verifyInput: boolean;
}

export interface AgentSessionOptions {
  readonly agentVersion: string;
  readonly properties: Readonly<Record<string, string>>;
  readonly randomBytes: RandomBytes;
  /** Wall clock minus the clock of `now`. */
  readonly wallOffset: Millis;
  readonly observations: Observations;
  readonly knobs: () => AgentKnobs;
  /** Nothing was lost, reordered or cut on the way in so far. */
  readonly isInputReliable: () => boolean;
  readonly emit: Emit;
  /** The handshake is done: resolve, dial, then call `usePort` or `finish`. */
  readonly startPort: (mode: PortMode) => void;
  /** The plugin ended and its output was acknowledged, or 2 s have passed. `output` goes into `channel_closed`. */
  readonly ended: (output: string) => void;
}

/** On close the agent waits so long for its list to empty. */
const DRAIN_LIMIT: Millis = 2_000;

type Phase = 'asking' | 'completing' | 'opening' | 'serving' | 'draining' | 'over';

export class AgentSession {
  readonly channel: AgentChannel;
  readonly #options: AgentSessionOptions;
  #phase: Phase = 'asking';
  readonly #startedAt: Millis;
  #readyAt: Millis = 0;
  #drainUntil: Millis = 0;
  #mode: PortMode | undefined;
  #port: Port | undefined;
  #output = '';
  #isWedged = false;
  /** The latest time any call brought: `take` is called from inside the channel, without one. */
  #now: Millis;

  constructor(options: AgentSessionOptions, now: Millis) {
    this.#options = options;
    this.#startedAt = now;
    this.#now = now;
    this.channel = new AgentChannel(
      {
        randomBytes: options.randomBytes,
        wallOffset: options.wallOffset,
        emit: options.emit,
        take: (payloadType, payload) => this.#take(payloadType, payload),
        witness: options.observations,
        isVerifying: () => options.knobs().verifyInput,
      },
      now,
    );
    const request = handshakeRequest(options.agentVersion, options.properties);
    this.channel.send(PAYLOAD_TYPE.handshakeRequest, Buffer.from(request), now);
    for (let extra = 1; extra < options.knobs().handshakeRequests; extra++) this.channel.repeatFirst(now);
  }

  get isOver(): boolean {
    return this.#phase === 'over';
  }

  get isServing(): boolean {
    return this.#phase === 'serving';
  }

  receive(frame: Buffer, now: Millis): void {
    this.#now = now;
    this.channel.receive(frame, now);
    this.#afterInput();
  }

  /** The port can take more: what blocked the reader is tried again. */
  retry(now: Millis): void {
    this.#now = now;
    if (this.#isWedged) return;
    this.channel.retry(now);
    this.#afterInput();
  }

  get wakeAt(): Millis | undefined {
    if (this.#phase === 'over') return undefined;
    const tick = this.channel.wakeAt;
    const deadline =
      this.#phase === 'asking'
        ? this.#startedAt + HANDSHAKE_LIMIT
        : this.#phase === 'draining'
          ? this.#drainUntil
          : undefined;
    if (tick === undefined || deadline === undefined) return tick ?? deadline;
    return Math.min(tick, deadline);
  }

  tick(now: Millis): void {
    this.#now = now;
    if (this.#phase === 'over') return;
    this.channel.tick(now);
    if (this.#phase === 'asking' && now >= this.#startedAt + HANDSHAKE_LIMIT) this.finish(HANDSHAKE_TIMED_OUT, now);
    if (this.#phase === 'draining' && now >= this.#drainUntil) this.#end();
  }

  /** The port is open; from now on input reaches it. */
  usePort(port: Port): void {
    if (this.#phase !== 'opening') return;
    this.#phase = 'serving';
    this.#port = port;
  }

  /** The plugin is done. `output` empty: success; otherwise the reason of the failure. */
  finish(output: string, now: Millis): void {
    this.#now = now;
    this.#beginDrain(output);
    this.#endWhenDrained();
  }

  /** channel_closed: the session is cancelled at once. */
  cancel(): void {
    if (this.#phase !== 'over') this.#auditMissing();
    this.#phase = 'over';
    this.#port = undefined;
  }

  /** Inside `take`, ending must wait until the channel has acknowledged: `#afterInput` does it. */
  #beginDrain(output: string): void {
    if (this.#phase === 'draining' || this.#phase === 'over') return;
    this.#output = output;
    this.#port = undefined;
    this.#phase = 'draining';
    this.#drainUntil = this.#now + DRAIN_LIMIT;
  }

  #afterInput(): void {
    if (this.#phase === 'completing' && !this.channel.isBlocked) this.#complete();
    this.#endWhenDrained();
  }

  #endWhenDrained(): void {
    if (this.#phase === 'draining' && this.channel.unacknowledgedCount === 0) this.#end();
  }

  #end(): void {
    this.#phase = 'over';
    this.#auditMissing();
    this.#options.ended(this.#output);
  }

  /** On a link that loses and reorders nothing a missing number was never sent. */
  #auditMissing(): void {
    const missing = this.channel.missingInput;
    if (missing.length === 0 || !this.#options.isInputReliable()) return;
    this.#options.observations.violation(`the session ended without input ${missing.join(', ')}`);
  }

  #take(payloadType: number, payload: Buffer): Verdict {
    if (payloadType === PAYLOAD_TYPE.handshakeResponse) return this.#onHandshakeResponse(payload);
    switch (this.#phase) {
      case 'asking':
      case 'completing':
        this.#options.observations.violation(`input of payload type ${payloadType} before HandshakeComplete`);
        return 'taken';
      case 'opening':
        return 'refused';
      case 'serving':
        return this.#serve(payloadType, payload);
      case 'draining':
      case 'over':
        return 'taken';
    }
  }

  #onHandshakeResponse(payload: Buffer): Verdict {
    const { observations, knobs } = this.#options;
    if (this.#phase !== 'asking') {
      observations.counters.secondHandshakeResponses += 1;
      observations.violation('a second handshake response: the official agent is wedged by it');
      this.#isWedged = true;
      return 'blocked';
    }
    const verdict = judgeResponse(payload);
    if (!verdict.accepted) {
      this.#beginDrain(verdict.reason);
      return 'taken';
    }
    for (const oddity of verdict.oddities) observations.violation(oddity);
    this.#mode = this.#modeFor(verdict.clientVersion);
    this.#phase = 'completing';
    // Otherwise Complete follows the acknowledge, which the channel sends when this returns.
    if (knobs().completeBeforeAcknowledge) this.#complete();
    return 'taken';
  }

  #complete(): void {
    this.#phase = 'opening';
    const complete = handshakeComplete(this.#now - this.#startedAt);
    this.channel.send(PAYLOAD_TYPE.handshakeComplete, Buffer.from(complete), this.#now);
    this.#readyAt = this.#now + this.#options.knobs().notReadyMs;
    this.#options.startPort(this.#mode!);
  }

  /** Old agents have no mux at all, which their clients know by the same gate. */
  #modeFor(clientVersion: string): PortMode {
    if (this.#options.properties.type !== 'LocalPortForwarding') return { kind: 'plain', redials: false };
    const agent = judgeAgent(this.#options.agentVersion);
    const client = judgeClient(clientVersion);
    if (!agent.mux || !client.usesMux) return { kind: 'plain', redials: true };
    return { kind: 'mux', keepAlive: !(agent.smuxKeepAliveDisabled && client.smuxKeepAliveDisabled) };
  }

  #serve(payloadType: number, payload: Buffer): Verdict {
    if (this.#now < this.#readyAt) return 'refused';
    switch (payloadType) {
      case PAYLOAD_TYPE.output:
        return this.#port!.take(payload);
      case PAYLOAD_TYPE.flag:
        return this.#onFlag(payload);
      case PAYLOAD_TYPE.encChallengeResponse:
        // Nobody asked: the handler fails, so the message is not acknowledged (vector mux-port-order-and-digest).
        this.#options.observations.violation('a challenge response that nobody asked for');
        return 'refused';
      default:
        this.#options.observations.violation(`input of payload type ${payloadType} in a port session`);
        return 'taken';
    }
  }

  #onFlag(payload: Buffer): Verdict {
    const flag = payload.length === 4 ? payload.readUInt32BE(0) : undefined;
    if (flag === FLAG.terminateSession) {
      this.#beginDrain('');
    } else if (flag === FLAG.disconnectToPort) {
      if (this.#mode?.kind === 'mux') this.#options.observations.violation('flag DisconnectToPort in mux mode');
      this.#port!.disconnect();
    } else {
      this.#options.observations.violation(`a flag message of ${payload.length} bytes, ${flag ?? 'no flag'}`);
    }
    return 'taken';
  }
}

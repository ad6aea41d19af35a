/**
 * The agent's worker for one session on a managed node: drives the cores with a clock and with TCP connections to where the practice
 * cloud says. It talks to the relay in frames, and outlives the client's websockets.
 */
import type { Socket } from 'node:net';
import type { Millis } from '../../domain/millis.ts';
import type { Timer } from '../../runtime/clock.ts';
import type { World } from '../../runtime/world.ts';
import { FLAG, PAYLOAD_TYPE } from '../../transport/ssm/core/wire-format.ts';
import type { ByteQueue } from '../core/byte-queue.ts';
import {
  type Destination,
  type DestinationQuery,
  type Dial,
  dialDestination,
  printDestination,
  type ResolveDestination,
} from '../destination.ts';
import { type Emit, MAX_KEPT_MESSAGES } from './core/agent-channel.ts';
import { AgentSession, type Port, type PortMode } from './core/agent-session.ts';
import type { Observations } from './core/observations.ts';
import { denialOf } from './denied-destinations.ts';
import type { FaultPlan } from './faults.ts';
import { MuxPort } from './mux-port.ts';
import { OutputPump } from './output-pump.ts';
import { PlainPort } from './plain-port.ts';
import type { Session } from './sessions.ts';

export interface NodeAgentOptions {
  readonly world: Pick<World, 'clock' | 'random' | 'log'>;
  readonly session: Session;
  readonly observations: Observations;
  readonly plan: () => FaultPlan;
  readonly resolveDestination: ResolveDestination;
  readonly vpcCidrs: readonly string[];
  /** To the client, by way of the relay. */
  readonly send: Emit;
  readonly isWireFull: () => boolean;
  readonly isClientConnected: () => boolean;
  /** Nothing was lost, reordered or cut on the way in so far. */
  readonly isInputReliable: () => boolean;
  /** The reader goes on after it was blocked. */
  readonly unblocked: () => void;
  /** The plugin ended; `output` is for `channel_closed`. */
  readonly ended: (output: string) => void;
}

/** What MuxPort and PlainPort have in common. */
interface RunningPort extends Port, Disposable {
  readonly output: ByteQueue;
  fill(): void;
  readonly wakeAt?: Millis | undefined;
  tick?(now: Millis): void;
}

export class NodeAgent implements Disposable {
  readonly #options: NodeAgentOptions;
  readonly #session: AgentSession;
  readonly #query: DestinationQuery;
  /** One-time DNS: asked when the session starts, used for every dial. */
  readonly #destination: Promise<Destination>;
  #port: RunningPort | undefined;
  #pump: OutputPump | undefined;
  #wake: { readonly at: Millis; readonly timer: Timer } | undefined;
  #isRetrying = false;
  #isDead = false;

  constructor(options: NodeAgentOptions) {
    this.#options = options;
    const { clock, random } = options.world;
    const { session } = options;
    const host = session.properties.host;
    this.#query = {
      targetId: session.targetId,
      host: host === undefined || host === '' ? undefined : host,
      port: Number(session.properties.portNumber),
    };
    this.#destination = this.#resolve();
    const now = clock.now();
    this.#session = new AgentSession(
      {
        agentVersion: session.agentVersion,
        properties: session.properties,
        randomBytes: (byteCount) => random.bytes(byteCount),
        wallOffset: clock.wall() - now,
        observations: options.observations,
        knobs: options.plan,
        isInputReliable: options.isInputReliable,
        emit: (memory, offset, byteCount) => {
          if (!this.#isDead) options.send(memory, offset, byteCount);
        },
        startPort: (mode) => void this.#startPort(mode),
        ended: (output) => {
          this[Symbol.dispose]();
          options.ended(output);
        },
      },
      now,
    );
    this.#arm();
  }

  /** Frames that wait behind a blocked reader. */
  get backlogBytes(): number {
    return this.#session.channel.backlogBytes;
  }

  receive(frame: Buffer): void {
    if (this.#isDead) return;
    this.#session.receive(frame, this.#options.world.clock.now());
    if (!this.#options.plan().pacing) this.#pump?.kick();
    this.#arm();
  }

  /** The websocket has room again, or a client is there again. */
  wireDrained(): void {
    this.#pump?.kick();
  }

  pause(): void {
    this.#session.channel.pause();
  }

  unpause(): void {
    this.#session.channel.unpause();
    this.#pump?.kick();
    this.#arm();
  }

  /** The fault: output 0 once more, while it is not acknowledged. */
  repeatHandshakeRequest(): void {
    this.#session.channel.repeatFirst(this.#options.world.clock.now());
  }

  /** channel_closed from the service. */
  cancel(): void {
    this.#session.cancel();
    this[Symbol.dispose]();
  }

  /** The machine is gone: nothing comes from it any more, and nothing is heard. */
  die(): void {
    this.#isDead = true;
    this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.#wake?.timer.cancel();
    this.#wake = undefined;
    this.#pump?.stop();
    this.#port?.[Symbol.dispose]();
    this.#port = undefined;
  }

  /** A resolver that fails is a name server that does not answer. */
  async #resolve(): Promise<Destination> {
    try {
      return await this.#options.resolveDestination(this.#query);
    } catch (error) {
      this.#options.world.log.warn(`lab: ${printDestination(this.#query)} was not resolved: ${String(error)}`);
      return { kind: 'unknown-name' };
    }
  }

  async #startPort(mode: PortMode): Promise<void> {
    const destination = await this.#destination;
    if (this.#isDead || this.#session.isOver) return;
    const refusal = this.#refusalOf(destination);
    if (refusal !== undefined) {
      this.#finish(refusal);
      return;
    }
    const dial = (connected: (socket: Socket) => void, failed: (reason: string) => void): Dial =>
      dialDestination(destination, this.#options.world.clock, connected, failed);
    const port = mode.kind === 'mux' ? this.#muxPort(mode.keepAlive, dial) : this.#plainPort(mode.redials, dial);
    this.#port = port;
    this.#pump = this.#pumpOf(port.output);
    if (mode.kind === 'mux') this.#session.usePort(port);
    this.#arm();
  }

  #refusalOf(destination: Destination): string | undefined {
    const { host } = this.#query;
    if (host === undefined) return undefined;
    // The words for a name that does not resolve are those of the agent's runtime library; docs/protocol/ssm.md has none.
    if (destination.kind === 'unknown-name') return `lookup ${host}: no such host`;
    return denialOf({
      host,
      ...(destination.kind === 'address' && destination.privateIp !== undefined
        ? { address: destination.privateIp }
        : {}),
      agentVersion: this.#options.session.agentVersion,
      vpcCidrs: this.#options.vpcCidrs,
    });
  }

  #muxPort(keepAlive: boolean, dial: PlainDial): RunningPort {
    const now = () => this.#options.world.clock.now();
    return new MuxPort({
      keepAlive,
      now,
      observations: this.#options.observations,
      dial,
      refused: () => {
        this.#session.channel.send(PAYLOAD_TYPE.flag, flagPayload(FLAG.connectToPortError), now());
        this.#arm();
      },
      outputReady: () => this.#pump?.kick(),
      unblocked: () => this.#retryLater(),
    });
  }

  #plainPort(redials: boolean, dial: PlainDial): RunningPort {
    const port: PlainPort = new PlainPort({
      redials,
      dial: (connected, failed) =>
        dial(connected, (reason) => failed(`dial tcp ${printDestination(this.#query)}: connect: ${reason}`)),
      opened: () => this.#session.usePort(port),
      outputReady: () => this.#pump?.kick(),
      unblocked: () => this.#retryLater(),
      finished: (output) => this.#finish(output),
    });
    return port;
  }

  #pumpOf(source: ByteQueue): OutputPump {
    const { world, plan, isWireFull, isClientConnected } = this.#options;
    const { channel } = this.#session;
    return new OutputPump({
      clock: world.clock,
      plan,
      source,
      send: (byteCount) => {
        channel.sendFrom(source, byteCount, world.clock.now());
        this.#arm();
      },
      isWireFull,
      isSendingUseful: () => isClientConnected() && channel.unacknowledgedCount < MAX_KEPT_MESSAGES,
      drained: () => {
        this.#port?.fill();
        this.#finishWhenDrained();
      },
    });
  }

  #endOutput: string | undefined;

  /** The plugin ends after what its port has read was sent. */
  #finish(output: string): void {
    this.#endOutput = output;
    this.#finishWhenDrained();
  }

  #finishWhenDrained(): void {
    if (this.#endOutput === undefined || (this.#port?.output.byteCount ?? 0) > 0) return;
    this.#session.finish(this.#endOutput, this.#options.world.clock.now());
    this.#arm();
  }

  /** Not at once: the port says it in the middle of its own work. */
  #retryLater(): void {
    if (this.#isRetrying) return;
    this.#isRetrying = true;
    queueMicrotask(() => {
      this.#isRetrying = false;
      if (this.#isDead || this.#session.isOver) return;
      this.#session.retry(this.#options.world.clock.now());
      this.#arm();
      if (!this.#session.channel.isBlocked) this.#options.unblocked();
    });
  }

  #arm(): void {
    let at = this.#session.wakeAt;
    const portAt = this.#port?.wakeAt;
    if (portAt !== undefined && (at === undefined || portAt < at)) at = portAt;
    // A timer that is too early costs one look; one for each message would cost more than the message.
    if (at === undefined || this.#isDead || (this.#wake !== undefined && this.#wake.at <= at)) return;
    this.#wake?.timer.cancel();
    const timer = this.#options.world.clock.after(Math.max(0, at - this.#options.world.clock.now()), () => {
      this.#wake = undefined;
      if (this.#isDead || this.#session.isOver) return;
      const now = this.#options.world.clock.now();
      this.#session.tick(now);
      this.#port?.tick?.(now);
      this.#arm();
    });
    this.#wake = { at, timer };
  }
}

type PlainDial = (connected: (socket: Socket) => void, failed: (reason: string) => void) => Dial;

function flagPayload(flag: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(flag);
  return payload;
}

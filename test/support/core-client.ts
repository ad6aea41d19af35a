/**
 * A Session Manager client of protocol cores alone: data channel, handshake, smux. No socket, no timer: frames and times go in by
 * hand, frames come out. What PortSession and DataLink do around the cores, as small as it can be.
 */

import { Mux } from '../../src/transport/smux/mux.ts';
import { decodeMessage, type MessageFields } from '../../src/transport/ssm/core/client-message.ts';
import { DataChannel } from '../../src/transport/ssm/core/data-channel.ts';
import { Handshake, handshakeResponseText } from '../../src/transport/ssm/core/handshake.ts';
import { judgeClient } from '../../src/transport/ssm/core/version-gates.ts';
import { FLAG, PAYLOAD_TYPE } from '../../src/transport/ssm/core/wire-format.ts';
import { seededRandom } from './manual-world.ts';

export interface CoreClientOptions {
  readonly clientVersion: string;
  /** What the handshake says to an action other than SessionType. */
  readonly resultOf?: (actionType: string) => unknown;
}

export class CoreClient {
  /** Every frame that left, decoded, resends included. */
  readonly sent: MessageFields[] = [];
  readonly channel: DataChannel;
  readonly handshake = new Handshake();
  readonly mux: Mux;
  mode: 'mux' | 'raw' = 'raw';
  agentVersion = '';
  customerMessage = '';
  /** Data messages that are not smux: payload type and payload, in order. */
  readonly delivered: { readonly payloadType: number; readonly payload: Buffer }[] = [];
  /** Waiting raw output: one message each. */
  readonly rawOutput: Buffer[] = [];
  now = 0;

  constructor(options: CoreClientOptions) {
    this.mux = new Mux({
      destination: 'db.internal:3306',
      soon: (call) => call(),
      outputWaiting: () => {},
      stalled: () => {},
    });
    this.channel = new DataChannel(
      { deliver: (type, payload) => this.#deliver(type, payload, options), serviceMessage: () => {} },
      { randomBytes: seededRandom().bytes, wall: () => 1_700_000_000_000 + this.now },
    );
  }

  /** Data messages by number, each once. */
  get inputs(): MessageFields[] {
    const byNumber = new Map<bigint, MessageFields>();
    for (const message of this.sent) {
      if (message.messageType === 'input_stream_data') byNumber.set(message.sequenceNumber, message);
    }
    return [...byNumber.values()];
  }

  get acknowledges(): MessageFields[] {
    return this.sent.filter(({ messageType }) => messageType === 'acknowledge');
  }

  receive(frame: Buffer): void {
    this.channel.receive(frame, this.now);
    this.mux.endBatch();
    this.mux.acknowledgedBelow(this.channel.sending.acknowledgedBelow);
    this.channel.sendAcknowledges(this.now, this.#transmit);
    this.channel.repair(this.now, this.#transmit);
  }

  /** Sends what waits, as far as the handshake allows. */
  send(): void {
    if (this.handshake.state === 'complete') {
      this.channel.sendFrom({ pull: (...args) => this.#pull(...args) }, 1_000, this.now, this.#transmit);
    }
  }

  sendControl(payloadType: number, payload: Uint8Array): void {
    this.channel.sendControl(payloadType, payload, this.now, this.#transmit);
  }

  /** Moves time on, doing at every instant what is due then. */
  passTo(instant: number): void {
    for (let steps = 0; steps < 10_000; steps++) {
      const wakeAt = this.channel.wakeAt;
      if (wakeAt === undefined || wakeAt > instant) break;
      this.now = Math.max(this.now + 0.01, wakeAt);
      this.channel.sendAcknowledges(this.now, this.#transmit);
      this.channel.repair(this.now, this.#transmit);
      this.send();
    }
    this.now = Math.max(this.now, instant);
  }

  #pull(target: Buffer, offset: number, maxBytes: number): number {
    if (this.mode === 'mux') return this.mux.pull(target, offset, maxBytes, this.channel.sending.nextNumber);
    return this.rawOutput.shift()?.copy(target, offset) ?? 0;
  }

  readonly #transmit = (bytes: Buffer, offset: number, byteCount: number): void => {
    this.sent.push(decodeMessage(Buffer.from(bytes.subarray(offset, offset + byteCount))));
  };

  #deliver(payloadType: number, payload: Buffer, options: CoreClientOptions): boolean {
    switch (payloadType) {
      case PAYLOAD_TYPE.handshakeRequest:
        this.#answer(payload, options);
        return true;
      case PAYLOAD_TYPE.handshakeComplete:
        this.customerMessage = this.handshake.complete(payload).customerMessage;
        return true;
      case PAYLOAD_TYPE.flag:
        if (payload.readUInt32BE(0) === FLAG.connectToPortError) this.mux.connectFailed();
        return true;
      default:
        if (this.mode === 'mux' && payloadType === PAYLOAD_TYPE.output) {
          this.mux.receive(payload);
          return true;
        }
        this.delivered.push({ payloadType, payload: Buffer.from(payload) });
        return true;
    }
  }

  #answer(payload: Buffer, { clientVersion, resultOf }: CoreClientOptions): void {
    const request = this.handshake.request(payload);
    if (request === undefined) return;
    this.agentVersion = request.agentVersion;
    const isLocalForward = request.session?.properties.type === 'LocalPortForwarding';
    if (request.features.mux && judgeClient(clientVersion).usesMux && isLocalForward) this.mode = 'mux';
    const outcomes = request.actions.map((actionType) => ({
      actionType,
      status: 1 as const,
      result: actionType === 'SessionType' ? null : resultOf?.(actionType),
    }));
    this.sendControl(PAYLOAD_TYPE.handshakeResponse, Buffer.from(handshakeResponseText(clientVersion, outcomes)));
  }
}

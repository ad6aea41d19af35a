/**
 * A small client of the data channel, written from the protocol's description and sharing no codec with `src/`: what it and the lab
 * agree on was not one mistake made twice. It acknowledges and orders what comes, answers the handshake once, and keeps everything
 * it saw for the test to look at. It never repairs by itself: tests say when something is sent again.
 */
import { createHash, randomUUID } from 'node:crypto';
import { WebSocket } from 'ws';

export interface PeerMessage {
  readonly type: string;
  readonly headerLength: number;
  readonly number: number;
  readonly flags: number;
  readonly payloadType: number;
  readonly payload: Buffer;
}

export interface PeerOptions {
  readonly clientVersion?: string;
  readonly headers?: Record<string, string>;
  /** False: nothing is acknowledged. */
  readonly acknowledges?: boolean;
  readonly clientId?: string;
}

export interface PeerClose {
  readonly code: number;
  readonly reason: string;
}

/** One message in the long form. */
export function encode(type: string, number: number, flags: number, payloadType: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(120);
  header.writeUInt32BE(116, 0);
  header.write(type.padEnd(32), 4, 'ascii');
  header.writeUInt32BE(1, 36);
  header.writeBigUInt64BE(BigInt(Date.now()), 40);
  header.writeBigInt64BE(BigInt(number), 48);
  header.writeBigUInt64BE(BigInt(flags), 56);
  const uuid = Buffer.from(randomUUID().replaceAll('-', ''), 'hex');
  uuid.copy(header, 64, 8, 16);
  uuid.copy(header, 72, 0, 8);
  createHash('sha256').update(payload).digest().copy(header, 80);
  header.writeUInt32BE(payloadType, 112);
  header.writeUInt32BE(payload.length, 116);
  return Buffer.concat([header, payload]);
}

export function decode(frame: Buffer): PeerMessage {
  const headerLength = frame.readUInt32BE(0);
  return {
    type: frame.toString('ascii', 4, 36).replace(/[\0 ]+$/, ''),
    headerLength,
    number: Number(frame.readBigInt64BE(48)),
    flags: Number(frame.readBigUInt64BE(56)),
    payloadType: headerLength >= 116 ? frame.readUInt32BE(112) : 0,
    payload: frame.subarray(headerLength + 4),
  };
}

export function smux(command: 'syn' | 'fin' | 'psh' | 'nop', streamId: number, data: Buffer | string = ''): Buffer {
  const payload = Buffer.from(data);
  const header = Buffer.alloc(8);
  header[0] = 1;
  header[1] = { syn: 0, fin: 1, psh: 2, nop: 3 }[command];
  header.writeUInt16LE(payload.length, 2);
  header.writeUInt32LE(streamId, 4);
  return Buffer.concat([header, payload]);
}

export interface PeerStream {
  data: string;
  isFinished: boolean;
  /** Bytes that came after FIN: there must be none. */
  lateBytes?: number;
}

export class SsmPeer {
  readonly clientId: string;
  /** Every message in the order of arrival, repeats included. */
  readonly seen: PeerMessage[] = [];
  /** Data messages in the order of their numbers, each once. */
  readonly outputs: PeerMessage[] = [];
  /** Input numbers that the agent acknowledged, repeats included. */
  readonly acknowledged: number[] = [];
  readonly streams = new Map<number, PeerStream>();
  closed: PeerClose | undefined;
  refusedWith: number | undefined;
  readonly #options: PeerOptions;
  readonly #early = new Map<number, PeerMessage>();
  readonly #waiters = new Set<() => void>();
  #ws: WebSocket | undefined;
  #nextInput = 0;
  #muxBytes = Buffer.alloc(0);

  constructor(options: PeerOptions = {}) {
    this.#options = options;
    this.clientId = options.clientId ?? randomUUID();
  }

  /** Opens a websocket and, when `token` is given, sends the text frame. Also used again after a resume. */
  async connect(url: string, token?: string): Promise<void> {
    const ws = new WebSocket(url, { headers: this.#options.headers ?? {}, perMessageDeflate: false });
    this.#ws = ws;
    this.closed = undefined;
    ws.on('message', (data: Buffer) => this.#onFrame(data));
    ws.on('error', () => this.#wake());
    ws.on('unexpected-response', (_request, response) => {
      this.refusedWith = response.statusCode;
      response.resume();
      this.#wake();
    });
    ws.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
      this.#wake();
    });
    ws.on('open', () => this.#wake());
    await this.until(() => ws.readyState !== ws.CONNECTING || this.refusedWith !== undefined);
    if (token !== undefined && this.refusedWith === undefined) {
      ws.send(
        JSON.stringify({
          MessageSchemaVersion: '1.0',
          RequestId: randomUUID(),
          TokenValue: token,
          ClientId: this.clientId,
          ClientVersion: this.#options.clientVersion ?? '1.2.764.0',
        }),
      );
    }
  }

  get ws(): WebSocket {
    return this.#ws!;
  }

  /** Waits for the request, answers it, waits for Complete. */
  async handshake(): Promise<void> {
    await this.until(() => this.outputs.some((message) => message.payloadType === 5));
    this.respond();
    await this.until(() => this.outputs.some((message) => message.payloadType === 7));
  }

  respond(): number {
    return this.input(
      6,
      JSON.stringify({
        ClientVersion: this.#options.clientVersion ?? '1.2.764.0',
        ProcessedClientActions: [{ ActionType: 'SessionType', ActionStatus: 1, ActionResult: null, Error: '' }],
        Errors: null,
      }),
    );
  }

  /** How many input messages were sent: the next one's number. */
  get sent(): number {
    return this.#nextInput;
  }

  /** Sends the next input message and returns its number. */
  input(payloadType: number, payload: Buffer | string): number {
    const number = this.#nextInput++;
    this.raw(encode('input_stream_data', number, 0, payloadType, Buffer.from(payload)));
    return number;
  }

  flag(value: number): number {
    return this.input(10, Buffer.from([0, 0, 0, value]));
  }

  raw(frame: Buffer | string): void {
    this.#ws?.send(frame);
  }

  /** Opens a stream and remembers it. */
  openStream(streamId: number, data = ''): void {
    this.streams.set(streamId, { data: '', isFinished: false });
    const frames = data === '' ? [] : [smux('psh', streamId, data)];
    this.input(1, Buffer.concat([smux('syn', streamId), ...frames]));
  }

  /** Resolves when `isTrue` says so; looks after each thing that happens. The test's own time limit ends a wait for nothing. */
  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) {
      await new Promise<void>((resolve) => {
        const waiter = () => {
          this.#waiters.delete(waiter);
          resolve();
        };
        this.#waiters.add(waiter);
      });
    }
  }

  /** The payload of channel_closed, once it came. */
  get channelClosed(): Record<string, unknown> | undefined {
    const message = this.seen.find(({ type }) => type === 'channel_closed');
    return message && (JSON.parse(message.payload.toString()) as Record<string, unknown>);
  }

  disconnect(): void {
    this.#ws?.terminate();
  }

  #wake(): void {
    for (const waiter of [...this.#waiters]) waiter();
  }

  #onFrame(frame: Buffer): void {
    const message = decode(frame);
    this.seen.push(message);
    if (message.type === 'acknowledge') {
      const content = JSON.parse(message.payload.toString()) as { AcknowledgedMessageSequenceNumber: number };
      this.acknowledged.push(content.AcknowledgedMessageSequenceNumber);
    } else if (message.type === 'output_stream_data') {
      if (this.#options.acknowledges !== false) this.#acknowledge(frame, message);
      this.#order(message);
    }
    this.#wake();
  }

  #acknowledge(frame: Buffer, message: PeerMessage): void {
    const hex = Buffer.concat([frame.subarray(72, 80), frame.subarray(64, 72)]).toString('hex');
    const id = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
    const content = {
      AcknowledgedMessageType: 'output_stream_data',
      AcknowledgedMessageId: id,
      AcknowledgedMessageSequenceNumber: message.number,
      IsSequentialMessage: true,
    };
    this.raw(encode('acknowledge', 0, 3, 0, Buffer.from(JSON.stringify(content))));
  }

  #order(message: PeerMessage): void {
    if (message.number >= this.outputs.length) this.#early.set(message.number, message);
    for (let next = this.#early.get(this.outputs.length); next; next = this.#early.get(this.outputs.length)) {
      this.#early.delete(next.number);
      this.outputs.push(next);
      if (next.payloadType === 1 && this.streams.size > 0) this.#parse(next.payload);
    }
  }

  #parse(payload: Buffer): void {
    this.#muxBytes = Buffer.concat([this.#muxBytes, payload]);
    while (this.#muxBytes.length >= 8) {
      const length = this.#muxBytes.readUInt16LE(2);
      if (this.#muxBytes.length < 8 + length) return;
      const stream = this.streams.get(this.#muxBytes.readUInt32LE(4));
      if (stream !== undefined && this.#muxBytes[1] === 2) {
        if (stream.isFinished) stream.lateBytes = (stream.lateBytes ?? 0) + length;
        stream.data += this.#muxBytes.toString('latin1', 8, 8 + length);
      }
      if (stream !== undefined && this.#muxBytes[1] === 1) stream.isFinished = true;
      this.#muxBytes = this.#muxBytes.subarray(8 + length);
    }
  }
}

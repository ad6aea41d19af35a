/** The lab's IAP relay on loopback ports, with a backend of the test's choice behind every target, and a plain client to drive it. */
import type { IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';
import { makeCertificates } from '../../src/lab/gcp/relay/certificates.ts';
import type { RelayDesk, RelayDestination, TokenVerdict } from '../../src/lab/gcp/relay/relay-desk.ts';
import { RelayFaults, type RelayPatch } from '../../src/lab/gcp/relay/relay-faults.ts';
import { startRelay } from '../../src/lab/gcp/relay/relay-server.ts';
import { systemWorld, type World } from '../../src/runtime/world.ts';
import type { After } from './gateway-lab.ts';
import { until } from './until.ts';

export interface RelayLab {
  readonly root: string;
  readonly authorityPem: string;
  readonly desk: RelayDesk;
  readonly faults: RelayFaults;
  /** Tokens that are good: token → e-mail address. */
  readonly tokens: Map<string, string>;
  peer(options?: Partial<PeerOptions>): RelayPeer;
}

export interface RelayLabOptions {
  readonly world?: World;
  readonly faults?: RelayPatch;
  /** A port of this machine, or what becomes of a connect. */
  readonly backend: number | RelayDestination;
}

export async function relayLab(test: After, options: RelayLabOptions): Promise<RelayLab> {
  const world = options.world ?? systemWorld({ env: {} });
  const faults = new RelayFaults(options.faults);
  const certificates = makeCertificates(systemWorld());
  const tokens = new Map([['good', 'alice@example.com']]);
  const { backend } = options;
  const relay = await startRelay({
    world,
    certificates,
    faults,
    checkToken: (token): TokenVerdict => {
      const email = tokens.get(token);
      return email === undefined ? { ok: false, why: 'unknown token' } : { ok: true, email };
    },
    resolve: async () =>
      typeof backend === 'number' ? { kind: 'address', host: '127.0.0.1', port: backend } : backend,
  });
  test.after(() => relay[Symbol.asyncDispose]() as Promise<void>);
  const { root, desk } = relay;
  const { authorityPem } = certificates;
  return {
    root,
    authorityPem,
    desk,
    faults,
    tokens,
    peer: (more) => new RelayPeer({ root, authorityPem, token: 'good', ...more }),
  };
}

export interface PeerOptions {
  readonly root: string;
  readonly authorityPem: string;
  readonly token: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: `bot:iap-tunneler`; null leaves it out. */
  readonly origin?: string | null;
  /** Whether each DATA frame is acknowledged; default true. */
  readonly acknowledges?: boolean;
  /** Query of `/connect`. */
  readonly query?: string;
}

const QUERY = 'project=p&port=80&newWebsocket=True&zone=z&instance=i&interface=nic0';

/** A client of the relay that does what it is told and no more; frames by hand, none of the codecs of src/. */
export class RelayPeer {
  readonly #options: PeerOptions;
  ws: WebSocket | undefined;
  token: string;
  sid = '';
  /** From the answer to a reconnect. */
  resumedAt: number | undefined;
  sent = 0;
  confirmed = 0;
  #chunks: Buffer[] = [];
  received = 0;
  readonly acks: number[] = [];
  readonly dataLengths: number[] = [];
  readonly unknown: Buffer[] = [];
  longClose: { readonly code: number; readonly reason: string } | undefined;
  closed: { readonly code: number; readonly reason: string } | undefined;
  /** HTTP status of an upgrade that was refused. */
  status: number | undefined;
  pongs = 0;
  /** `ECONNRESET` after a TCP reset. */
  socketError: string | undefined;
  /** Everything sent, for sending it again. */
  #output = Buffer.alloc(0);

  constructor(options: PeerOptions) {
    this.#options = options;
    this.token = options.token;
  }

  /** Opens a session; resolves when the upgrade is answered. */
  async connect(): Promise<this> {
    return await this.#open(`/connect?${this.#options.query ?? QUERY}`);
  }

  /** Comes back on another websocket. */
  async reconnect(ack = this.received): Promise<this> {
    return await this.#open(`/reconnect?sid=${this.sid}&ack=${ack}&newWebsocket=True&zone=z`);
  }

  /** `connect` and the wait for tag 1. */
  async start(): Promise<this> {
    await this.connect();
    await until(() => this.sid !== '' || this.closed !== undefined);
    return this;
  }

  /** `reconnect`, the wait for tag 2, and everything again that the service lacks. */
  async resume(): Promise<this> {
    this.resumedAt = undefined;
    await this.reconnect();
    await until(() => this.resumedAt !== undefined || this.closed !== undefined || this.status !== undefined);
    if (this.resumedAt !== undefined) this.#data(this.#output.subarray(this.resumedAt));
    return this;
  }

  get text(): string {
    return Buffer.concat(this.#chunks).toString();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  send(bytes: Buffer | string): void {
    const more = Buffer.from(bytes);
    this.#output = Buffer.concat([this.#output, more]);
    this.sent += more.length;
    this.#data(more);
  }

  /** A whole message, whatever it is. */
  sendRaw(message: Buffer | string): void {
    this.ws?.send(message);
  }

  acknowledge(total = this.received): void {
    const frame = Buffer.alloc(10);
    frame.writeUInt16BE(7, 0);
    frame.writeBigUInt64BE(BigInt(total), 2);
    this.sendRaw(frame);
  }

  close(code = 1000): void {
    this.ws?.close(code);
  }

  /** Cuts the connection without a word. */
  abort(): void {
    this.ws?.terminate();
  }

  async until(condition: (peer: this) => boolean): Promise<void> {
    await until(() => condition(this));
  }

  #data(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += 16_384) {
      const part = bytes.subarray(at, at + 16_384);
      const frame = Buffer.alloc(6 + part.length);
      frame.writeUInt16BE(4, 0);
      frame.writeUInt32BE(part.length, 2);
      part.copy(frame, 6);
      this.sendRaw(frame);
    }
  }

  #open(path: string): Promise<this> {
    const { root, authorityPem, headers, origin = 'bot:iap-tunneler' } = this.#options;
    this.closed = undefined;
    this.status = undefined;
    const ws = new WebSocket(`${root}${path}`, ['relay.tunnel.cloudproxy.app'], {
      ...(origin === null ? {} : { origin }),
      headers: { Authorization: `Bearer ${this.token}`, 'User-Agent': 'test/1', ...headers },
      perMessageDeflate: false,
      ca: authorityPem,
    });
    this.ws = ws;
    ws.on('message', (message: Buffer) => {
      if (this.ws === ws) this.#receive(message);
    });
    ws.on('upgrade', ({ socket }: IncomingMessage) => {
      socket.on('error', ({ code }: NodeJS.ErrnoException) => {
        this.socketError = code;
      });
    });
    ws.on('pong', () => {
      this.pongs += 1;
    });
    return new Promise((resolve) => {
      ws.on('open', () => resolve(this));
      ws.on('unexpected-response', (_request: unknown, response: IncomingMessage) => {
        this.status = response.statusCode;
        response.resume();
        ws.terminate();
      });
      ws.on('error', () => {});
      ws.on('close', (code, reason) => {
        if (this.ws === ws) this.closed = { code, reason: reason.toString() };
        resolve(this);
      });
    });
  }

  #receive(message: Buffer): void {
    switch (message.readUInt16BE(0)) {
      case 1:
        this.sid = message.toString('latin1', 6);
        return;
      case 2:
        this.resumedAt = Number(message.readBigUInt64BE(2));
        return;
      case 4: {
        const payload = message.subarray(6, 6 + message.readUInt32BE(2));
        this.dataLengths.push(payload.length);
        this.#chunks.push(payload);
        this.received += payload.length;
        if (payload.length > 0 && (this.#options.acknowledges ?? true)) this.acknowledge();
        return;
      }
      case 7:
        this.confirmed = Number(message.readBigUInt64BE(2));
        this.acks.push(this.confirmed);
        return;
      case 10:
        this.longClose = { code: message.readUInt32BE(2), reason: message.toString('utf8', 10) };
        return;
      default:
        this.unknown.push(message);
    }
  }
}

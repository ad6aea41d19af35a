/** A relay of which the test decides every word: a plain websocket server on loopback, and tunnels that lead to it. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type WebSocket from 'ws';
import { WebSocketServer } from 'ws';
import type { CloudtunError } from '../../src/domain/errors.ts';
import { Secret } from '../../src/domain/secret.ts';
import type { IapRelayTicket, TicketSource } from '../../src/domain/ticket.ts';
import type { TunnelEvent } from '../../src/domain/tunnel-event.ts';
import type { World } from '../../src/runtime/world.ts';
import type { RelayOptions } from '../../src/transport/iap/relay-options.ts';
import { RelayTunnel } from '../../src/transport/iap/relay-tunnel.ts';
import type { After } from './gateway-lab.ts';
import { until } from './until.ts';

const SUBPROTOCOL = 'relay.tunnel.cloudproxy.app';

function frame(tag: number, length: number, body: Buffer): Buffer {
  const head = Buffer.alloc(6);
  head.writeUInt16BE(tag);
  head.writeUInt32BE(length, 2);
  return Buffer.concat([head, body]);
}

function total(tag: number, value: number | bigint): Buffer {
  const bytes = Buffer.alloc(10);
  bytes.writeUInt16BE(tag);
  bytes.writeBigUInt64BE(BigInt(value), 2);
  return bytes;
}

export const frames = {
  sid: (sid = 'sid') => frame(1, sid.length, Buffer.from(sid)),
  resumed: (value: number | bigint) => total(2, value),
  data: (bytes: Buffer | string) => frame(4, Buffer.from(bytes).length, Buffer.from(bytes)),
  ack: (value: number | bigint) => total(7, value),
  longClose: (code: number, reason: string) => {
    const head = Buffer.alloc(10);
    head.writeUInt16BE(10);
    head.writeUInt32BE(code, 2);
    head.writeUInt32BE(Buffer.byteLength(reason), 6);
    return Buffer.concat([head, Buffer.from(reason)]);
  },
};

/** The service's end of one websocket. */
export class RelayEnd {
  readonly ws: WebSocket;
  readonly request: IncomingMessage;
  readonly #bytes: Buffer[] = [];
  /** Payload bytes on this websocket. */
  received = 0;
  readonly acks: number[] = [];
  readonly dataLengths: number[] = [];
  closed: number | undefined;
  pings = 0;

  constructor(ws: WebSocket, request: IncomingMessage) {
    this.ws = ws;
    this.request = request;
    ws.on('message', (message: Buffer) => {
      // What comes behind a Close or FIN of ours is not taken, nor counted.
      if (!this.isOpen) return;
      if (message.readUInt16BE(0) === 7) this.acks.push(Number(message.readBigUInt64BE(2)));
      else {
        const payload = message.subarray(6);
        this.dataLengths.push(payload.length);
        this.#bytes.push(payload);
        this.received += payload.length;
      }
    });
    ws.on('ping', () => {
      this.pings += 1;
    });
    ws.on('error', () => {});
    ws.on('close', (code) => {
      this.closed = code;
    });
  }

  get isOpen(): boolean {
    return this.ws.readyState === this.ws.OPEN && this.socket.writable;
  }

  get query(): URLSearchParams {
    return new URL(this.request.url ?? '', 'ws://x').searchParams;
  }

  get path(): string {
    return new URL(this.request.url ?? '', 'ws://x').pathname;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#bytes);
  }

  get socket(): Socket {
    return this.request.socket;
  }

  send(...messages: Buffer[]): void {
    for (const message of messages) this.ws.send(message);
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }
}

export interface ScriptedRelay {
  readonly root: string;
  /** Every websocket that was opened, in order. */
  readonly ends: RelayEnd[];
  /** What every upgrade was asked with. */
  readonly requests: IncomingMessage[];
  /** TCP connections that were accepted. */
  connections: number;
  /** Statuses for the next upgrades, instead of 101. */
  readonly statuses: number[];
  /** Answered as the subprotocol of the next upgrades. */
  subprotocol: string | undefined;
  /** Called for each websocket; default: tag 1, or tag 2 with what was received before. */
  onOpen: (end: RelayEnd) => void;
  readonly source: ScriptedTickets;
  readonly events: TunnelEvent[];
  tunnel(world: World, options?: Partial<RelayOptions>): Promise<RelayTunnel>;
  /** The n-th websocket, when it is there. */
  end(number: number): Promise<RelayEnd>;
}

export class ScriptedTickets implements TicketSource<IapRelayTicket> {
  readonly kind = 'iap-relay';
  readonly #root: string;
  issued = 0;
  renewed = 0;
  diagnosed = 0;
  /** Set to be asked. */
  diagnose?: (error: CloudtunError) => Promise<CloudtunError>;
  whySilent?: NonNullable<TicketSource<IapRelayTicket>['whySilent']>;
  ticket: Partial<IapRelayTicket> = {};

  constructor(root: string) {
    this.#root = root;
  }

  async issue(): Promise<IapRelayTicket> {
    this.issued += 1;
    return this.#make();
  }

  async renew(): Promise<IapRelayTicket> {
    this.renewed += 1;
    return this.#make();
  }

  async release(): Promise<void> {}

  #make(): IapRelayTicket {
    const target = { kind: 'instance', project: 'p', zone: 'z', instance: 'i', networkInterface: 'nic0' } as const;
    const token = new Secret(`token-${this.renewed}`);
    return { kind: this.kind, root: this.#root, target, token, to: { port: 80 }, ...this.ticket };
  }
}

export async function scriptedRelay(test: After, onOpen?: (end: RelayEnd) => void): Promise<ScriptedRelay> {
  const server = createServer();
  const sockets = new Set<Socket>();
  const websockets = new WebSocketServer({
    noServer: true,
    handleProtocols: () => relay.subprotocol ?? SUBPROTOCOL,
  });
  server.on('connection', (socket) => {
    relay.connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
  });
  server.on('upgrade', (request, socket, head) => {
    relay.requests.push(request);
    const status = relay.statuses.shift();
    if (status !== undefined) {
      socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      return;
    }
    websockets.handleUpgrade(request, socket, head, (ws) => {
      const end = new RelayEnd(ws, request);
      relay.ends.push(end);
      relay.onOpen(end);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const root = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/v4`;
  const receivedBefore = () => relay.ends.reduce((sum, { received }) => sum + received, 0);
  const relay: ScriptedRelay = {
    root,
    ends: [],
    requests: [],
    connections: 0,
    statuses: [],
    subprotocol: undefined,
    onOpen:
      onOpen ??
      ((end) => {
        end.send(end.path === '/v4/connect' ? frames.sid() : frames.resumed(receivedBefore()));
      }),
    source: new ScriptedTickets(root),
    events: [],
    tunnel: (world, options) =>
      RelayTunnel.open(
        world,
        relay.source,
        { port: 80 },
        {
          route: { agentFor: () => undefined, ca: undefined },
          onEvent: (event) => relay.events.push(event),
          ...options,
        },
        new AbortController().signal,
      ),
    async end(number) {
      await until(() => relay.ends.length >= number);
      return relay.ends[number - 1]!;
    },
  };
  test.after(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return relay;
}

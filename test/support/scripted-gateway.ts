/**
 * A message gateway on loopback whose agent does what the test says: nothing by itself except acknowledge, if told to. Tickets, time
 * and randomness by hand. For the drivers around the protocol cores.
 */
import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { CloudtunError } from '../../src/domain/errors.ts';
import { Secret } from '../../src/domain/secret.ts';
import type { SsmSessionTicket, TicketSource } from '../../src/domain/ticket.ts';
import type { TunnelEvent } from '../../src/domain/tunnel-event.ts';
import { decodeMessage, type MessageFields } from '../../src/transport/ssm/core/client-message.ts';
import type { SsmOptions } from '../../src/transport/ssm/session-options.ts';
import { acknowledgeMessage, HANDSHAKE_COMPLETE, handshakeRequest, outputMessage } from './agent-messages.ts';
import { manualWorld, turn } from './manual-world.ts';

/** Turns of the event loop until it is so; loopback sockets need a few, never a wait for time. */
export async function until(isSo: () => boolean, what: string): Promise<void> {
  for (let count = 0; count < 20_000; count++) {
    if (isSo()) return;
    await turn();
  }
  assert.fail(`never: ${what}`);
}

export interface Opening {
  readonly TokenValue: string;
  readonly ClientId: string;
  readonly RequestId: string;
  readonly ClientVersion: string;
}

/** One websocket of a client. */
export class GatewayConnection {
  readonly #socket: WebSocket;
  readonly #acknowledges: boolean;
  /** The first text frame. */
  opening: Opening | undefined;
  readonly messages: MessageFields[] = [];
  closeCode: number | undefined;

  constructor(socket: WebSocket, acknowledges: boolean) {
    this.#socket = socket;
    this.#acknowledges = acknowledges;
    socket.on('message', (data: Buffer, isBinary) => this.#receive(data, isBinary));
    socket.on('close', (code) => {
      this.closeCode = code;
    });
    socket.on('error', () => {});
  }

  /** Input messages, without repeats. */
  get inputs(): MessageFields[] {
    const inputs = this.messages.filter(({ messageType }) => messageType === 'input_stream_data');
    return inputs.filter(
      (input, index) => inputs.findIndex((other) => other.sequenceNumber === input.sequenceNumber) === index,
    );
  }

  /** Several frames leave in one piece. */
  send(...frames: Buffer[]): void {
    const transport = (this.#socket as unknown as { readonly _socket: { cork(): void; uncork(): void } })._socket;
    transport.cork();
    for (const frame of frames) this.#socket.send(frame);
    transport.uncork();
  }

  cut(): void {
    this.#socket.terminate();
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }

  #receive(data: Buffer, isBinary: boolean): void {
    if (!isBinary) {
      assert.equal(this.opening, undefined, 'one text frame only');
      this.opening = JSON.parse(data.toString()) as Opening;
      return;
    }
    assert.ok(this.opening, 'the text frame comes first');
    const message = decodeMessage(data);
    this.messages.push(message);
    if (this.#acknowledges && message.messageType === 'input_stream_data')
      this.#socket.send(acknowledgeMessage(Number(message.sequenceNumber)));
  }
}

export interface ScriptedGatewayOptions {
  /** The agent begins every session with this handshake by itself. */
  readonly handshake?: Parameters<typeof handshakeRequest>[0];
  /** False: the agent acknowledges nothing by itself. */
  readonly acknowledges?: boolean;
}

export class ScriptedGateway implements AsyncDisposable {
  readonly #server: WebSocketServer;
  readonly connections: GatewayConnection[] = [];
  /** What was asked of the cloud, in order. */
  readonly calls: string[] = [];
  readonly events: TunnelEvent[] = [];
  readonly hand = manualWorld();
  /** What ResumeSession says: a ticket, the end of the session, or an error. */
  renewal: 'ticket' | 'over' | CloudtunError = 'ticket';
  /** Set: StartSession fails with it. */
  refusal: CloudtunError | undefined;
  /** Set: StartSession answers after it, or fails with it. */
  hold: Promise<void> | undefined;
  #tokens = 0;

  private constructor(server: WebSocketServer, options: ScriptedGatewayOptions) {
    this.#server = server;
    server.on('connection', (socket) => {
      const connection = new GatewayConnection(socket, options.acknowledges ?? true);
      this.connections.push(connection);
      // What follows is up to the test, which sees it fail by itself when the socket is gone.
      if (options.handshake) void this.handshake(connection, options.handshake).catch(() => {});
    });
  }

  static async open(options: ScriptedGatewayOptions = {}): Promise<ScriptedGateway> {
    const gateway = new ScriptedGateway(new WebSocketServer({ host: '127.0.0.1', port: 0 }), options);
    await until(() => gateway.#server.address() !== null, 'listening');
    return gateway;
  }

  get options(): SsmOptions {
    return { route: { agentFor: () => undefined, ca: undefined }, onEvent: (event) => void this.events.push(event) };
  }

  get tickets(): TicketSource<SsmSessionTicket> {
    return {
      kind: 'ssm-session',
      issue: async (to) => {
        this.calls.push('issue');
        await this.hold;
        if (this.refusal) throw this.refusal;
        return { ...this.#ticket(), to };
      },
      renew: async (ticket) => {
        this.calls.push('renew');
        if (this.renewal instanceof CloudtunError) throw this.renewal;
        return this.renewal === 'over' ? undefined : { ...ticket, token: this.#ticket().token };
      },
      release: async () => void this.calls.push('release'),
    };
  }

  /** The connection number `index`, as soon as its text frame is here. */
  async connection(index = 0): Promise<GatewayConnection> {
    await until(() => this.connections[index]?.opening !== undefined, `connection ${index}`);
    return this.connections[index]!;
  }

  /** The agent's half of a handshake; returns the response. */
  async handshake(
    connection: GatewayConnection,
    request: Parameters<typeof handshakeRequest>[0] = {},
  ): Promise<string> {
    connection.send(outputMessage(0, handshakeRequest(request), 5));
    await until(() => connection.inputs.length > 0, 'the response');
    connection.send(outputMessage(1, HANDSHAKE_COMPLETE, 7));
    return Buffer.from(connection.inputs[0]!.payload).toString();
  }

  eventsOf<Type extends TunnelEvent['type']>(type: Type): Extract<TunnelEvent, { readonly type: Type }>[] {
    return this.events.filter((event): event is Extract<TunnelEvent, { readonly type: Type }> => event.type === type);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#server.clients) client.terminate();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #ticket(): Omit<SsmSessionTicket, 'to'> {
    const { port } = this.#server.address() as AddressInfo;
    this.#tokens++;
    return {
      kind: 'ssm-session',
      sessionId: 'alice-0123456789abcdef0',
      streamUrl: `ws://127.0.0.1:${port}/v1/data-channel/alice?role=publish_subscribe`,
      token: new Secret(`token-${this.#tokens}`),
      targetId: 'i-0123456789abcdef0',
    };
  }
}

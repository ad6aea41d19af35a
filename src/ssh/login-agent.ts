import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import {
  AGENT_FAILURE,
  AGENT_SUCCESS,
  type AgentIdentity,
  AgentReader,
  bareMessage,
  framed,
  identitiesAnswer,
  parseIdentities,
  parseSessionBind,
  parseSignRequest,
  REQUEST_IDENTITIES,
  SIGN_REQUEST,
  signResponse,
} from './core/agent-messages.ts';

/** One key that exists only in this process, let in when it is asked for. */
export interface AgentKey {
  readonly blob: Buffer;
  readonly comment: string;
  /** Resolves with whether the machine accepts it now; may take the time of a call to the cloud. Never rejects. */
  admitted(): Promise<boolean>;
  sign(data: Buffer): Buffer;
}

/** Clients of one login: ssh opens one or two connections. */
const CONNECTION_LIMIT = 16;

/**
 * An ssh-agent with one key of its own in front of the agent that the person has: all keys of that one are there too, and everything
 * else is handed on to it. A connection that is forwarded to the far machine sees the person's agent alone.
 */
export class LoginAgent implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #key: AgentKey;
  readonly #behind: string | undefined;

  /** @param behind the socket of the person's own agent */
  constructor(key: AgentKey, behind: string | undefined) {
    this.#key = key;
    this.#behind = behind;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  /** @throws what the file system throws */
  async listen(path: string): Promise<void> {
    this.#server.listen(path);
    await once(this.#server, 'listening');
    chmodSync(path, 0o600);
  }

  /** Also takes the socket out of its folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }

  #serve(socket: Socket): void {
    if (this.#sockets.size >= CONNECTION_LIMIT) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    const reader = new AgentReader();
    const behind = new AgentBehind(this.#behind);
    let isForwarded = false;
    // Answers come in the order of the questions.
    let turn = Promise.resolve();
    const answer = async (body: Buffer) => {
      const bind = parseSessionBind(body);
      if (bind) {
        isForwarded ||= bind.isForwarding;
        await behind.ask(body);
        return bareMessage(AGENT_SUCCESS);
      }
      return (isForwarded ? undefined : await this.#own(body, behind)) ?? (await behind.ask(body));
    };
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#sockets.delete(socket);
      behind.close();
    });
    socket.on('data', (chunk: Buffer) => {
      const messages = reader.read(chunk);
      if (messages === undefined) {
        socket.destroy();
        return;
      }
      for (const body of messages) {
        turn = turn.then(async () => {
          const said = await answer(body);
          if (!socket.destroyed) socket.write(framed(said));
        });
      }
    });
  }

  /** Undefined: it is for the agent behind. */
  async #own(body: Buffer, behind: AgentBehind): Promise<Buffer | undefined> {
    const { blob, comment } = this.#key;
    if (body[0] === REQUEST_IDENTITIES) {
      const [isAdmitted, others] = await Promise.all([this.#key.admitted(), behind.ask(body).then(parseIdentities)]);
      const own: readonly AgentIdentity[] = isAdmitted ? [{ blob, comment }] : [];
      return identitiesAnswer([...own, ...others]);
    }
    if (body[0] !== SIGN_REQUEST) return undefined;
    const request = parseSignRequest(body);
    return request?.blob.equals(blob) ? signResponse(this.#key.sign(request.data)) : undefined;
  }
}

/** The person's own agent, connected to when the first message is for it. What it cannot answer is a failure, as agents say it. */
class AgentBehind {
  readonly #path: string | undefined;
  readonly #reader = new AgentReader();
  #socket: Socket | undefined;
  #answer: ((body: Buffer | undefined) => void) | undefined;

  constructor(path: string | undefined) {
    this.#path = path;
  }

  /** One question at a time. */
  async ask(body: Buffer): Promise<Buffer> {
    if (this.#path === undefined) return bareMessage(AGENT_FAILURE);
    const answered = await new Promise<Buffer | undefined>((resolve) => {
      this.#answer = resolve;
      this.#connected().write(framed(body));
    });
    return answered ?? bareMessage(AGENT_FAILURE);
  }

  close(): void {
    this.#socket?.destroy();
  }

  #connected(): Socket {
    if (this.#socket && !this.#socket.destroyed) return this.#socket;
    const socket = connect(this.#path!);
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('close', () => this.#answer?.(undefined));
    socket.on('data', (chunk: Buffer) => {
      const messages = this.#reader.read(chunk);
      if (messages === undefined) socket.destroy();
      for (const body of messages ?? []) this.#answer?.(body);
    });
    return socket;
  }
}

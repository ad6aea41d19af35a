/**
 * The lab's message gateway: the `ssmmessages` websocket end of Session Manager together with the managed nodes behind it, as the
 * official client and ours see them (docs/protocol/ssm.md, "WebSocket", "Binary message", "The agent's end").
 *
 * ```ts
 * const faults = new FaultBoard();                                     // faults.ts: set(patch), setSession(id, patch)
 * const sessions = new SessionStore({                                  // sessions.ts: what the HTTP API calls
 *   world,
 *   streamBase: () => `ws://127.0.0.1:${port}`,
 *   resumeVerdict: (session) => faults.resumeVerdict(session),
 *   cellNumber: () => faults.cellNumber(),
 * });
 * await using gateway = createGateway({ world, sessions, faults, resolveDestination, verifyUpgrade });
 * server.on('upgrade', (request, socket, head) => {
 *   if (!gateway.handleUpgrade(request, socket, head)) socket.destroy();
 * });
 * ```
 *
 * A session starts on its node when the store says `started`; nothing else has to be called. `resolveDestination` is asked once per
 * session, with the node, the `host` property (undefined: the node itself) and the port. A node in `faults.plan().deadNodes` is gone.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Timer } from '../../runtime/clock.ts';
import type { World } from '../../runtime/world.ts';
import type { ResolveDestination } from '../destination.ts';
import { ClientSocket, type ClientSocketEvents } from '../websocket/client-socket.ts';
import { acceptUpgrade, refuseUpgrade, upgradeFault } from '../websocket/upgrade.ts';
import { addCounts, type Counters, noCounts, Observations } from './core/observations.ts';
import { readOpenDataChannel } from './core/open-data-channel.ts';
import type { FaultBoard } from './faults.ts';
import { SessionRelay } from './session-relay.ts';
import type { Session, SessionStore } from './sessions.ts';

export type UpgradeVerdict =
  | { readonly accepted: true }
  | { readonly accepted: false; readonly status: number; readonly message: string };

export interface GatewayOptions {
  readonly world: World;
  readonly sessions: SessionStore;
  readonly faults: FaultBoard;
  readonly resolveDestination: ResolveDestination;
  /** Checks a signed upgrade. Called when a signature is present; without this any signature will do. */
  readonly verifyUpgrade?: (request: IncomingMessage, sessionId: string) => UpgradeVerdict | Promise<UpgradeVerdict>;
  /** CIDR blocks of a node's VPC, of which the agent denies the reserved addresses. */
  readonly vpcCidrs?: (targetId: string) => readonly string[];
}

export interface Gateway extends AsyncDisposable {
  /** Takes an upgrade for a data channel and answers it, refusals included. False: the path is for somebody else. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean;
  /** One session's numbers, or the sum of all sessions that ever were. */
  counters(sessionId?: string): Readonly<Counters>;
  /** Rules that clients broke, in the order in which it was seen, each with the session it was seen in. */
  violations(): readonly string[];
  /** Sessions that nobody terminated; for the end of a test, where there should be none. */
  openSessions(): readonly Session[];
}

const PATH = /^\/v1\/data-channel\/([^/?]+)\?(.*)$/;
/** What the service closes with when the first frame is wrong is not known: this is a guess, in one place. */
const REFUSED_CLOSE_CODE = 1008;
/** Ended sessions whose numbers are still told apart; older ones live on in the sum. */
const MAX_KEPT_OBSERVATIONS = 1_000;
const MAX_VIOLATIONS = 10_000;

export function createGateway(options: GatewayOptions): Gateway {
  return new MessageGateway(options);
}

class MessageGateway implements Gateway {
  readonly #options: GatewayOptions;
  readonly #relays = new Map<string, SessionRelay>();
  readonly #observations = new Map<string, Observations>();
  readonly #forgotten = noCounts();
  readonly #violations: string[] = [];
  readonly #opening = new Map<ClientSocket, Timer>();
  readonly #seenRequestIds = new Map<string, Set<string>>();
  readonly #clientIds = new Map<string, string>();
  readonly #stop: (() => void)[];
  #ordinal = 0;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#stop = [
      options.sessions.onChange((change) => {
        if (change.type === 'started') this.#started(change.session);
        else if (change.type === 'ended') this.#relays.get(change.session.sessionId)?.end(change.session.output ?? '');
      }),
      options.faults.onChange(() => {
        for (const relay of [...this.#relays.values()]) relay.planChanged();
      }),
    ];
  }

  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    const path = PATH.exec(request.url ?? '');
    if (path === null) return false;
    void this.#upgrade(request, socket, head, decoded(path[1]!), new URLSearchParams(path[2]));
    return true;
  }

  counters(sessionId?: string): Readonly<Counters> {
    if (sessionId !== undefined) return { ...(this.#observations.get(sessionId)?.counters ?? noCounts()) };
    const sum = { ...this.#forgotten };
    for (const { counters } of this.#observations.values()) addCounts(sum, counters);
    return sum;
  }

  violations(): readonly string[] {
    return [...this.#violations];
  }

  openSessions(): readonly Session[] {
    return this.#options.sessions.list('Active');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stop of this.#stop) stop();
    for (const [client, timer] of this.#opening) {
      timer.cancel();
      client.terminate();
    }
    this.#opening.clear();
    for (const relay of this.#relays.values()) relay[Symbol.dispose]();
    this.#relays.clear();
  }

  get #clock() {
    return this.#options.world.clock;
  }

  #started(session: Session): void {
    const { world, sessions, faults, resolveDestination, vpcCidrs } = this.#options;
    const { sessionId } = session;
    const observations = new Observations((what) => this.#violation(sessionId, what));
    this.#observations.set(sessionId, observations);
    this.#forgetOld();
    const relay = new SessionRelay({
      world,
      session,
      sessions,
      faults,
      observations,
      ordinal: this.#ordinal++,
      resolveDestination,
      vpcCidrs: vpcCidrs?.(session.targetId) ?? [],
      gone: () => {
        this.#relays.delete(sessionId);
        this.#seenRequestIds.delete(sessionId);
        this.#clientIds.delete(sessionId);
      },
    });
    this.#relays.set(sessionId, relay);
  }

  #forgetOld(): void {
    for (const [sessionId, { counters }] of this.#observations) {
      if (this.#observations.size <= MAX_KEPT_OBSERVATIONS) return;
      if (this.#relays.has(sessionId)) continue;
      addCounts(this.#forgotten, counters);
      this.#observations.delete(sessionId);
    }
  }

  #violation(sessionId: string, what: string): void {
    if (this.#violations.length < MAX_VIOLATIONS) this.#violations.push(`${sessionId}: ${what}`);
  }

  async #upgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    sessionId: string,
    query: URLSearchParams,
  ): Promise<void> {
    const onError = () => socket.destroy();
    socket.on('error', onError);
    let verdict: UpgradeVerdict;
    try {
      verdict = await this.#judge(request, sessionId, query);
    } catch (error) {
      this.#options.world.log.warn(`lab: an upgrade could not be judged: ${String(error)}`);
      verdict = { accepted: false, status: 500, message: 'the upgrade could not be judged' };
    }
    socket.off('error', onError);
    if (socket.destroyed) return;
    if (!verdict.accepted) {
      refuseUpgrade(socket, verdict.status, verdict.message, this.#options.world.random.uuid());
      return;
    }
    acceptUpgrade(request, socket);
    this.#open(sessionId, (events) => new ClientSocket(socket, head, this.#clock, events));
  }

  async #judge(request: IncomingMessage, sessionId: string, query: URLSearchParams): Promise<UpgradeVerdict> {
    const { faults, sessions, verifyUpgrade } = this.#options;
    const fault = upgradeFault(request);
    if (fault !== undefined) return { accepted: false, status: 400, message: fault };
    if (query.get('role') !== 'publish_subscribe') {
      return { accepted: false, status: 400, message: 'a data channel is opened with role=publish_subscribe' };
    }
    const session = sessions.get(sessionId);
    if (session === undefined || session.status === 'Terminated') {
      return { accepted: false, status: 404, message: `no session ${sessionId}` };
    }
    if (this.#relays.get(sessionId) === undefined) {
      return { accepted: false, status: 503, message: 'the session is not served here' };
    }
    const isSigned = request.headers.authorization !== undefined || query.has('X-Amz-Signature');
    if (isSigned && verifyUpgrade !== undefined) return await verifyUpgrade(request, sessionId);
    if (!isSigned && faults.plan(sessionId).requireSignedUpgrade) {
      return { accepted: false, status: 403, message: 'the upgrade is not signed' };
    }
    return { accepted: true };
  }

  /** A websocket without a token yet: pings may come, then the text frame has to, within its limit. */
  #open(sessionId: string, connect: (events: ClientSocketEvents) => ClientSocket): void {
    let attached: SessionRelay | undefined;
    const settle = () => {
      this.#opening.get(client)?.cancel();
      this.#opening.delete(client);
    };
    const reject = (what: string) => {
      settle();
      this.#violation(sessionId, what);
      client.close(REFUSED_CLOSE_CODE, '');
    };
    const client: ClientSocket = connect({
      text: (content) => {
        if (attached !== undefined) {
          this.#violation(sessionId, 'a text frame after the first one');
          return;
        }
        const refusal = this.#refusalOf(sessionId, content);
        const relay = this.#relays.get(sessionId);
        if (refusal !== undefined || relay === undefined) {
          reject(refusal ?? 'the session ended before its websocket was open');
          return;
        }
        settle();
        attached = relay;
        relay.attach(client);
      },
      binary: (frame) => {
        if (attached === undefined) reject('a binary message before the text frame');
        else attached.fromClient(client, frame);
      },
      drained: () => attached?.clientDrained(),
      closed: () => {
        settle();
        attached?.detached(client);
      },
      violation: (what) => this.#violation(sessionId, what),
      answersPings: () => this.#options.faults.plan(sessionId).answerPings,
    });
    const limit = this.#options.faults.plan(sessionId).openLimitMs;
    this.#opening.set(
      client,
      this.#clock.after(limit, () => reject('no text frame within the time limit')),
    );
  }

  /** What is wrong with the first text frame; undefined: nothing. */
  #refusalOf(sessionId: string, content: string): string | undefined {
    const opened = readOpenDataChannel(content);
    if (typeof opened === 'string') return opened;
    const verdict = this.#options.sessions.redeem(sessionId, opened.tokenValue);
    if (verdict === 'used') return 'a token was used twice';
    if (verdict === 'refused') return 'a wrong token';
    const requestIds = this.#seenRequestIds.get(sessionId) ?? new Set();
    if (requestIds.has(opened.requestId)) this.#violation(sessionId, 'the RequestId of an earlier websocket');
    this.#seenRequestIds.set(sessionId, requestIds.add(opened.requestId));
    const clientId = this.#clientIds.get(sessionId);
    if (clientId !== undefined && clientId !== opened.clientId) {
      this.#violation(sessionId, 'another ClientId than on the first websocket');
    }
    if (opened.clientId !== undefined) this.#clientIds.set(sessionId, opened.clientId);
    return undefined;
  }
}

/** The path's session id; text that is no valid percent-encoding names no session. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

import type { OpenedTunnel } from '../broker/broker-types.ts';
import { tunnelWith } from '../broker/tunnel-with.ts';
import { formatEndpoint } from '../domain/endpoint.ts';
import { asCloudtunError, CloudtunError } from '../domain/errors.ts';
import type { TunnelEvent } from '../domain/tunnel-event.ts';
import type { CloseReason, ServiceStatus } from '../forward/forward-types.ts';
import type { ClientReport } from '../forward/local-client.ts';
import { ServiceLife } from '../forward/service-life.ts';
import { type Cidr, covers, parseCidr } from '../runtime/cidr.ts';
import { unlessAborted } from '../runtime/deadline.ts';
import { type RemoteBind, type RemoteCaller, type RemotePort, RemotePorts } from '../ssh/remote-ports.ts';
import { explainRefusal, portInUse } from '../ssh/remote-refusal.ts';
import { Reconnecting, type ReconnectStep } from './core/reconnecting.ts';
import type { ExposePlan, ExposeReport, LentLogin, LoginSource, RunningExposure } from './expose-types.ts';
import { isLoopbackOnly, mayBeLoopbackOnly, OwnProbes } from './gateway-check.ts';
import { RemoteClient, type RemoteClientContext } from './remote-client.ts';

/** Callers that are served at the same time; one more is refused. Guessed, as for a local port. */
const CLIENT_LIMIT = 1_024;

/**
 * Has the far sshd listen on ports that lead to services on this side, until a limit, an interruption, or a loss that no waiting mends.
 * After a login is lost, the same ports are asked for again.
 *
 * `ready` rejects with what opening and logging in throw, CT_FORWARD_PROHIBITED and CT_REMOTE_PORT_BUSY.
 */
export function openExposure(context: RemoteClientContext, plan: ExposePlan): RunningExposure {
  const exposure = new Exposure(context, plan);
  exposure.start();
  return exposure;
}

class Exposure implements RunningExposure {
  readonly ready: Promise<void>;
  readonly closed: Promise<ExposeReport>;
  readonly #context: RemoteClientContext;
  readonly #plan: ExposePlan;
  readonly #life: ServiceLife;
  /** What to ask for next time: with the port that was given. */
  readonly #binds: RemoteBind[];
  readonly #stopped = new AbortController();
  readonly #reconnecting = new Reconnecting();
  readonly #probes: OwnProbes;
  #source: LoginSource | undefined;
  #login: LentLogin | undefined;
  #ports: readonly RemotePort[] = [];
  #keeping: Promise<void> = Promise.resolve();
  #tellLost: (error: CloudtunError) => void = () => {};
  #refused = 0;

  constructor(context: RemoteClientContext, plan: ExposePlan) {
    this.#context = context;
    this.#plan = plan;
    this.#binds = plan.rules.map(({ remote }) => remote);
    this.#probes = new OwnProbes(context.world.clock);
    this.#life = new ServiceLife(context.world, {
      limits: plan.limits,
      onEvent: plan.onEvent,
      release: async () => {
        await this.#logOut();
        await this.#keeping;
      },
    });
    // The far ports are what listeners are elsewhere: closed when the end begins.
    this.#life.listeners.defer(() => this.#closePorts());
    this.ready = this.#life.ready;
    this.closed = this.#life.closed.then((report) => ({ ...report, refused: this.#refused }));
  }

  start(): void {
    this.#life.start(
      (signal) => this.#open(signal),
      async (opened, signal) => {
        await this.#listen(await this.#logIn(signal), signal);
        this.#life.startLimits();
        for (const [rule, { local }] of this.#plan.rules.entries()) {
          if (!this.#isListening(rule)) continue;
          const remote = this.#binds[rule]!;
          const { expiresAt } = this.#life;
          this.#plan.onEvent({ type: 'exposed', rule, remote, local, target: opened.target, expiresAt });
        }
        this.#keeping = this.#keep();
      },
    );
  }

  status(): ServiceStatus {
    return this.#life.status();
  }

  drain(because: CloseReason): void {
    this.#life.drain(because);
  }

  cut(because: CloseReason): void {
    this.#life.cut(because);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut('ended');
    await this.closed;
  }

  #onTunnelEvent(event: TunnelEvent): void {
    this.#life.note(event);
    this.#plan.onEvent({ type: 'tunnel', event });
  }

  async #open(signal: AbortSignal): Promise<OpenedTunnel> {
    const source = await this.#plan.open((event) => this.#onTunnelEvent(event), signal);
    this.#source = source;
    const { opened } = source;
    const lost = new Promise<CloudtunError>((resolve) => {
      this.#tellLost = resolve;
      void opened.lost.then(resolve);
    });
    return tunnelWith(opened, { lost });
  }

  async #logIn(signal: AbortSignal): Promise<LentLogin> {
    this.#login = await this.#source!.logIn(signal);
    return this.#login;
  }

  /** @throws the first refusal, where every rule is needed or none is granted */
  async #listen({ connection }: LentLogin, signal: AbortSignal): Promise<void> {
    const ports = new RemotePorts(connection);
    const bound: (RemotePort | undefined)[] = [];
    let failure: CloudtunError | undefined;
    const { world } = this.#context;
    for (const [rule, bind] of this.#binds.entries()) {
      try {
        const inUse = await portInUse(world, connection, bind, signal);
        if (inUse) throw inUse;
        const port = await ports.listen(bind, (caller) => this.#accept(rule, caller), signal);
        bound.push(port);
        this.#binds[rule] = port.bind;
      } catch (thrown) {
        signal.throwIfAborted();
        const refused = asCloudtunError(thrown);
        const isExplained = refused.code !== 'CT_FORWARD_PROHIBITED';
        const error = isExplained ? refused : await explainRefusal(world, connection, ports, bind, refused, signal);
        if (this.#plan.needsAll) throw error;
        failure ??= error;
        bound.push(undefined);
        this.#plan.onEvent({ type: 'rule-failed', rule, error });
      }
    }
    this.#ports = bound.filter((port) => port !== undefined);
    if (failure && this.#ports.length === 0) throw failure;
    // The end may have come while it was asked.
    if (this.#life.isEnding) await this.#closePorts();
    else void this.#checkReach(connection).catch(() => {});
  }

  #isListening(rule: number): boolean {
    return this.#ports.some(({ bind }) => bind === this.#binds[rule]);
  }

  /** Until the end: a login that is lost is made again. */
  async #keep(): Promise<void> {
    const { clock, random } = this.#context.world;
    const { signal } = this.#stopped;
    for (;;) {
      this.#reconnecting.opened(clock.now());
      const { connection } = this.#login!;
      const { label } = connection.server;
      const closed = unlessAborted(connection.closed, signal).catch(() => undefined);
      const error = (await closed) ?? new CloudtunError('CT_TUNNEL_LOST', `the SSH connection to ${label} was closed`);
      if (signal.aborted) return;
      if (!this.#plan.reconnects) return this.#tellLost(error);
      const lostAt = clock.now();
      if (!(await this.#again(this.#reconnecting.closed(lostAt, random.fraction()), error))) return;
      this.#plan.onEvent({ type: 'renewed', downtime: clock.now() - lostAt });
    }
  }

  /** @returns false when it is over */
  async #again(first: ReconnectStep, lost: CloudtunError): Promise<boolean> {
    const { clock, random } = this.#context.world;
    const { signal } = this.#stopped;
    let step = first;
    let error = lost;
    while (step.do === 'wait') {
      this.#plan.onEvent({ type: 'reconnecting', attempt: step.attempt, error });
      try {
        await clock.sleep(step.for, signal);
        await this.#logOut();
        await this.#listen(await this.#logIn(signal), signal);
        return true;
      } catch (thrown) {
        if (signal.aborted) return false;
        error = asCloudtunError(thrown);
        step = this.#reconnecting.failed(error, random.fraction());
      }
    }
    this.#tellLost(error);
    return false;
  }

  #accept(rule: number, caller: RemoteCaller): void {
    const { local } = this.#plan.rules[rule]!;
    if (this.#probes.take(caller)) return;
    const objection = this.#objectionTo(caller);
    if (objection) {
      caller.refuse();
      this.#refused += 1;
      this.#plan.onEvent({ type: 'refused', rule, from: formatEndpoint(caller.from), error: objection });
      return;
    }
    if (this.#life.isEnding) return caller.refuse();
    const client = new RemoteClient(this.#context, caller, local);
    const connection = this.#life.connected();
    const tell = (change: 'connected' | 'closed', { bytesUp, bytesDown, error }: ClientReport) => {
      const facts = { change, from: client.from, bytesUp, bytesDown, ...(error && { error }) };
      this.#source!.opened.client({ ...facts, to: local });
      this.#plan.onEvent({ type: 'client', rule, connection, clients: this.#life.clientCount, ...facts });
    };
    void this.#life.admit(
      client,
      () => {
        tell('connected', { bytesUp: 0, bytesDown: 0 });
        return client.serve();
      },
      (report) => tell('closed', report),
    );
  }

  #objectionTo({ from }: RemoteCaller): CloudtunError | undefined {
    if (!isAllowed(this.#plan.allow, from.host)) {
      return new CloudtunError('CT_POLICY', `${from.host} is not among the addresses that may connect`);
    }
    if (this.#life.clientCount < CLIENT_LIMIT) return undefined;
    return new CloudtunError('CT_DESTINATION_LIMIT', `${CLIENT_LIMIT} connections are open already`);
  }

  /** An sshd that is not allowed to listen for others listens for itself, and says nothing of it. */
  async #checkReach(connection: LentLogin['connection']): Promise<void> {
    const { target } = this.#source!.opened;
    const { signal } = this.#stopped;
    for (const [rule, remote] of this.#binds.entries()) {
      if (!this.#isListening(rule) || !mayBeLoopbackOnly(remote)) continue;
      if (!(await isLoopbackOnly(this.#context.world, connection, target, remote, this.#probes, signal))) continue;
      this.#plan.onEvent({ type: 'loopback-only', rule, remote, label: connection.server.label });
    }
  }

  async #closePorts(): Promise<void> {
    this.#stopped.abort(new CloudtunError('CT_INTERRUPTED', 'the port is closed'));
    const ports = this.#ports;
    this.#ports = [];
    await Promise.all(ports.map((port) => port.close()));
  }

  async #logOut(): Promise<void> {
    const login = this.#login;
    await login?.[Symbol.asyncDispose]();
  }
}

/** An address that is none, from an odd server, is not allowed where anything is asked of it. */
function isAllowed(allow: readonly Cidr[] | undefined, host: string): boolean {
  if (allow === undefined) return true;
  const address = parseCidr(host.replace(/^::ffff:(?=\d+\.)/i, ''));
  return address !== undefined && allow.some((cidr) => covers(cidr, address));
}

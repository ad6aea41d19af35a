import type { OpenedTunnel } from '../broker/broker-types.ts';
import { tunnelWith } from '../broker/tunnel-with.ts';
import type { RemoteEndpoint } from '../domain/endpoint.ts';
import { asCloudtunError, CloudtunError } from '../domain/errors.ts';
import { type Route, targetLabel } from '../domain/target.ts';
import type { ExposeEvent } from '../expose/expose-types.ts';
import { ByteBudget } from '../forward/core/byte-budget.ts';
import type {
  CloseReason,
  ForwardEvent,
  ForwardLimits,
  ForwardReport,
  RunningService,
} from '../forward/forward-types.ts';
import type { App } from '../plan/app.ts';
import type { SocksEvent } from '../socks/socks-types.ts';
import type { PlannedLogin } from './planned-login.ts';
import type { SshRules } from './ssh-rules.ts';

export interface SshForwardsOptions {
  readonly rules: SshRules;
  readonly limits: ForwardLimits;
  /** Whether one that cannot be had is the end (`ExitOnForwardFailure`); else it is said, and the others go on. */
  readonly needsAll: boolean;
  /** Whether the end is told also where nothing is open. */
  readonly tellsIdleDrain: boolean;
  readonly onForward: (event: ForwardEvent) => void;
  readonly onSocks: (event: SocksEvent) => void;
  readonly onExpose: (event: ExposeEvent) => void;
  readonly onFailed: (rule: string, error: CloudtunError) => void;
}

/**
 * The forwards of `ssh`: their local ports are bound before anything is asked of the cloud, and they serve once the login stands. One
 * that ends takes the others along.
 */
export class SshForwards implements AsyncDisposable {
  readonly #services: RunningService[] = [];
  readonly #login = Promise.withResolvers<PlannedLogin>();

  private constructor() {
    // Without a rule, nobody waits for it.
    this.#login.promise.catch(() => {});
  }

  /** @throws CT_PORT_BUSY, CT_BIND: then nothing stays bound */
  static async bind(app: App, options: SshForwardsOptions): Promise<SshForwards> {
    const forwards = new SshForwards();
    try {
      await forwards.#bind(app, options);
    } catch (error) {
      await forwards[Symbol.asyncDispose]();
      throw error;
    }
    return forwards;
  }

  /** Serves over this login, which stays its owner's. @throws what kept one of them from being ready */
  async serve(login: PlannedLogin): Promise<void> {
    this.#login.resolve(login);
    await Promise.all(this.#services.map(({ ready }) => ready));
  }

  /** Settles when all of them are over, with the totals; why is what the first one said. */
  async closed(): Promise<ForwardReport> {
    const all = this.#services.map(({ closed }) => closed);
    const first = await Promise.race(all);
    for (const service of this.#services) {
      if (first.reason === 'lost' || first.reason === 'failed') service.cut(first.reason);
      else service.drain(first.reason);
    }
    const reports = await Promise.all(all);
    const sum = (count: (report: ForwardReport) => number) => reports.reduce((total, each) => total + count(each), 0);
    return {
      reason: first.reason,
      ...(first.error && { error: first.error }),
      duration: Math.max(...reports.map(({ duration }) => duration)),
      connections: sum(({ connections }) => connections),
      bytesUp: sum(({ bytesUp }) => bytesUp),
      bytesDown: sum(({ bytesDown }) => bytesDown),
    };
  }

  drain(because: CloseReason): void {
    for (const service of this.#services) service.drain(because);
  }

  cut(because: CloseReason): void {
    for (const service of this.#services) service.cut(because);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#login.reject(new CloudtunError('CT_INTERRUPTED', 'there is no login'));
    await Promise.all(this.#services.map((service) => service[Symbol.asyncDispose]()));
  }

  async #bind(app: App, options: SshForwardsOptions): Promise<void> {
    const { rules, needsAll, onFailed } = options;
    const { maxBytes } = options.limits;
    const limits = { ...options.limits, ...(maxBytes !== undefined && { budget: new ByteBudget(maxBytes) }) };
    // What all of them say at the same time, the first one says.
    const once = <Event extends { readonly type: string }>(tell: (event: Event) => void) => {
      const isFirst = this.#services.length === 0;
      return (event: Event) => {
        // They share one budget, and whichever of them comes to the mark tells it.
        const isOfBytes = Reflect.get(event, 'because') === 'max-bytes';
        const isIdleDrain = event.type === 'draining' && Reflect.get(event, 'clients') === 0;
        if (isIdleDrain ? isFirst && options.tellsIdleDrain : isFirst || event.type !== 'expiring' || isOfBytes)
          tell(event);
      };
    };
    const attempt = async (rule: string, open: () => Promise<RunningService>) => {
      try {
        this.#services.push(await open());
      } catch (thrown) {
        if (needsAll) throw thrown;
        onFailed(rule, asCloudtunError(thrown));
      }
    };
    for (const [rule, { to, text, ...listen }] of rules.local.entries()) {
      const { openForward } = await import('../forward/open-forward.ts');
      const { noProbe } = await import('../forward/no-probe.ts');
      const onEvent = once((event: ForwardEvent) => options.onForward('rule' in event ? { ...event, rule } : event));
      const open = async () => this.#over(await this.#login.promise, to);
      const plan = { listen: [listen], open, limits, onEvent };
      await attempt(`-L ${text}`, () => openForward({ ...app, probe: noProbe }, plan));
    }
    for (const { text, ...listen } of rules.dynamic) {
      const { openSocks } = await import('../socks/socks-server.ts');
      const open = async () => this.#over(await this.#login.promise);
      const plan = { listen, rules: { only: [], except: [] }, open, limits, onEvent: once(options.onSocks) };
      await attempt(`-D ${text}`, () => openSocks(app, plan));
    }
    if (rules.remote.length === 0) return;
    const { openExposure } = await import('../expose/open-exposure.ts');
    const exposure = openExposure(app, {
      rules: rules.remote,
      reconnects: false,
      needsAll,
      open: async () => {
        const login = await this.#login.promise;
        const lent = { connection: login.connection, [Symbol.asyncDispose]: async () => {} };
        return { opened: lentTunnel(login), logIn: async () => lent };
      },
      limits,
      onEvent: once(options.onExpose),
    });
    this.#services.push(exposure);
  }

  /** What the target's sshd dials. */
  async #over(login: PlannedLogin, ...to: readonly RemoteEndpoint[]): Promise<OpenedTunnel> {
    const { sshHop } = await import('../ssh/ssh-hop.ts');
    const { connection, opened } = login;
    const { dial } = sshHop(connection);
    const lost = connection.closed.then(
      (failure) =>
        failure ?? new CloudtunError('CT_TUNNEL_LOST', `the SSH connection to ${connection.server.label} was closed`),
    );
    return tunnelWith(lentTunnel(login), {
      routes: to.map((each) => routeBehind(opened, each)),
      dialer: { dial, [Symbol.asyncDispose]: async () => {} },
      lost,
    });
  }
}

/** The login's tunnel, whose end is for the login to say. */
function lentTunnel({ opened }: PlannedLogin): OpenedTunnel {
  return tunnelWith(opened, { ended: () => {}, [Symbol.asyncDispose]: async () => {} });
}

function routeBehind({ target, routes }: OpenedTunnel, to: RemoteEndpoint): Route {
  const { node, provider } = routes[0]!;
  return { provider, target, node, to, hops: [targetLabel(target)], reasons: ['by a login to it'], rejected: [] };
}

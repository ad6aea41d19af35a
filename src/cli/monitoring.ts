import type { LocalEndpoint } from '../domain/endpoint.ts';
import { formatEndpoint } from '../domain/endpoint.ts';
import { CloudtunError } from '../domain/errors.ts';
import { type Route, targetLabel, viaLabel } from '../domain/target.ts';
import type { ServiceStatus } from '../forward/forward-types.ts';
import { type Monitored, type MonitoredSet, notReady } from '../monitor/monitored.ts';
import type { ReadyFile } from '../monitor/ready-file.ts';
import type { TunnelPlan } from '../plan/tunnel-plan.ts';
import type { Timer } from '../runtime/clock.ts';
import { isoTime } from '../runtime/iso-time.ts';
import { Lifetime } from '../runtime/lifetime.ts';
import { isLoopbackAddress } from '../runtime/loopback.ts';
import type { SystemdNotifier } from '../runtime/systemd-notify.ts';
import type { Environment, World } from '../runtime/world.ts';

/** What MONITOR_FLAGS say. */
export interface MonitorFlags {
  readonly 'ready-file'?: string | undefined;
  readonly serve?: string | undefined;
}

export interface MonitoringOptions {
  readonly flags: MonitorFlags;
  /** What has to be ready. */
  readonly names: readonly string[];
  readonly version: string;
  /** Called when whoever waits would wait for ever. */
  readonly fail: (error: unknown) => void;
}

/**
 * How a process that serves tunnels shows itself to programs around it: the ready file, HTTP for probes and Prometheus, and messages to
 * systemd. All of them look at the same set, when asked or when something changed.
 */
export class Monitoring implements AsyncDisposable {
  readonly #world: World;
  readonly #options: MonitoringOptions;
  readonly #lifetime = new Lifetime();
  #tunnels: () => readonly Monitored[] = () => [];
  #readyFile: ReadyFile | undefined;
  #systemd: SystemdNotifier | undefined;
  #isReady = false;
  #isEnding = false;
  #saidStatus = '';
  #looking: Timer | undefined;

  private constructor(world: World, options: MonitoringOptions) {
    this.#world = world;
    this.#options = options;
  }

  /**
   * Binds and claims what the flags name; what is not asked for costs nothing.
   *
   * @throws CT_USAGE, CT_PORT_BUSY, CT_BIND, CT_READY_FILE
   */
  static async start(world: World, options: MonitoringOptions): Promise<Monitoring> {
    const monitoring = new Monitoring(world, options);
    try {
      await monitoring.#start();
      return monitoring;
    } catch (error) {
      await monitoring[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Where to look from now on. */
  watch(tunnels: () => readonly Monitored[]): void {
    this.#tunnels = tunnels;
  }

  /** Everything became ready for the first time. @throws CT_READY_FILE */
  ready(): void {
    const set = this.#look();
    if (this.#isEnding) return;
    this.#isReady = true;
    this.#readyFile?.write({ tunnels: set.tunnels.map(readyRecord) });
    this.#saidStatus = statusText(set);
    void this.#systemd?.notify('READY=1', `STATUS=${this.#saidStatus}`);
  }

  /** Something happened. @param isEnding it is being drained; nothing becomes ready again */
  changed(isEnding: boolean): void {
    if (isEnding && !this.#isEnding) this.#end();
    if (!this.#isReady || this.#isEnding || this.#looking) return;
    // The tunnel tells before it has taken note itself.
    this.#looking = this.#world.clock.soon(() => {
      this.#looking = undefined;
      this.#tell();
    });
  }

  /** Settings are read again. */
  async reloading(done: Promise<void>): Promise<void> {
    void this.#systemd?.notify('RELOADING=1', 'STATUS=reading cloudtun.yaml again');
    try {
      await done;
    } finally {
      this.#saidStatus = '';
      if (this.#isReady && !this.#isEnding) {
        this.#readyFile?.write({ tunnels: this.#look().tunnels.map(readyRecord) });
        void this.#systemd?.notify('READY=1');
        this.#tell();
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isEnding) this.#end();
    await this.#lifetime[Symbol.asyncDispose]();
    // The last message is on its way; systemd forgets a process that is gone.
    await this.#systemd?.notify();
  }

  async #start(): Promise<void> {
    const { env, pid, log, clock } = this.#world;
    const { 'ready-file': readyFile, serve } = this.#options.flags;
    if (env.NOTIFY_SOCKET) {
      const { systemdNotifier } = await import('../runtime/systemd-notify.ts');
      this.#systemd = systemdNotifier(env, pid, (message) => log.warn(message));
    }
    if (readyFile !== undefined) {
      const { ReadyFile } = await import('../monitor/ready-file.ts');
      this.#readyFile = new ReadyFile(this.#world, readyFile);
      this.#lifetime.defer(() => this.#readyFile?.remove());
    }
    if (serve !== undefined) {
      const { openMonitor, parseMonitorAddress } = await import('../monitor/monitor-server.ts');
      const at = parseMonitorAddress(serve);
      const { version } = this.#options;
      const server = this.#lifetime.use(await openMonitor(this.#world, { at, version, look: () => this.#look() }));
      log.info(`serving /healthz, /readyz and /metrics on ${server.local.map(formatEndpoint).join(', ')}`);
    }
    const { watchdog } = this.#systemd ?? {};
    if (watchdog !== undefined) {
      let timer: Timer;
      const feed = () => {
        void this.#systemd?.notify('WATCHDOG=1');
        timer = clock.after(watchdog, feed, { background: true });
      };
      feed();
      this.#lifetime.defer(() => timer.cancel());
    }
  }

  #look(): MonitoredSet {
    return { names: this.#options.names, tunnels: this.#tunnels(), isEnding: this.#isEnding };
  }

  #end(): void {
    this.#isEnding = true;
    this.#looking?.cancel();
    this.#readyFile?.remove();
    void this.#systemd?.notify('STOPPING=1', 'STATUS=draining');
  }

  #tell(): void {
    const status = statusText(this.#look());
    if (status === this.#saidStatus) return;
    this.#saidStatus = status;
    void this.#systemd?.notify(`STATUS=${status}`);
  }
}

/** Whether something outside looks at this process. */
export function isMonitored(flags: MonitorFlags, env: Environment): boolean {
  return flags['ready-file'] !== undefined || flags.serve !== undefined || Boolean(env.NOTIFY_SOCKET);
}

/** The plan, with the monitor among what listens: the policy speaks about that too. */
export function withMonitor(plan: TunnelPlan, { serve }: MonitorFlags): TunnelPlan {
  const address = addressIn(serve);
  return address === undefined ? plan : { ...plan, listens: [...(plan.listens ?? []), { address, by: '--serve' }] };
}

/** The same where there are several plans. @throws CT_POLICY */
export function checkMonitorAddress({ serve }: MonitorFlags, policy: { readonly loopbackOnly?: boolean | undefined }) {
  const address = addressIn(serve);
  if (!policy.loopbackOnly || address === undefined || address === 'localhost' || isLoopbackAddress(address)) return;
  throw new CloudtunError('CT_POLICY', `the policy allows loopback only, and --serve is ${address}`, {
    hint: 'leave the address out, or say 127.0.0.1, ::1 or localhost',
    details: [['rule', 'policy.loopbackOnly']],
  });
}

/** The address in a `--serve` that has one; whether it is one is found out where it is bound. */
function addressIn(serve: string | undefined): string | undefined {
  const [, address] = /^(.+):\d+$/.exec(serve ?? '') ?? [];
  return address?.replace(/^\[(.*)\]$/, '$1');
}

/** One service of this process as it is looked at. @param target what it leads to; undefined while that is not known */
export function monitored(
  name: string,
  status: ServiceStatus,
  local: readonly LocalEndpoint[],
  target: string | undefined,
): Monitored {
  return { ...status, name, local: local.map(formatEndpoint), target: target ?? name };
}

/** `orders-prod via bastion-a` */
export function routeText(route: Route | undefined): string | undefined {
  if (route === undefined) return undefined;
  const { target, node } = route;
  return node.id === target.id ? targetLabel(target) : `${targetLabel(target)} via ${viaLabel(route)}`;
}

function readyRecord({ name, local, target, expiresAt }: Monitored) {
  return { name, local, target, expiresAt: expiresAt === undefined ? null : isoTime(expiresAt) };
}

/** One line for `systemctl status`. */
function statusText(set: MonitoredSet): string {
  const reasons = notReady(set);
  const count = `${set.names.length - reasons.length} of ${set.names.length} ready`;
  const [first] = reasons;
  return first === undefined
    ? count
    : `${count}; ${first.tunnel} ${first.state}${first.code ? ` (${first.code})` : ''}`;
}

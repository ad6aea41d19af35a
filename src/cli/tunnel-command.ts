import type { TunnelExplanation } from '../broker/broker-types.ts';
import { explainTunnel } from '../broker/open-tunnel.ts';
import { endOrphans } from '../broker/orphans.ts';
import { composeApp } from '../compose.ts';
import { formatEndpoint } from '../domain/endpoint.ts';
import { asCloudtunError, CloudtunError } from '../domain/errors.ts';
import type { ProviderId } from '../domain/target.ts';
import type { ForwardEvent, ForwardReport, RunningForward } from '../forward/forward-types.ts';
import { LimitWatch } from '../forward/limit-watch.ts';
import type { App } from '../plan/app.ts';
import { listenRules, openPlanned, type PlannedRequest, settled } from '../plan/open-planned.ts';
import { permitted, timeIsOver } from '../plan/permit.ts';
import { judge, lacksReason } from '../plan/policy.ts';
import { questionOf, type TunnelPlan } from '../plan/tunnel-plan.ts';
import type { Provider } from '../providers/provider.ts';
import { loopbackAddresses } from '../runtime/loopback.ts';
import { connectSupervisor } from '../supervisor/control-client.ts';
import type { HeldStatus } from '../supervisor/protocol.ts';
import { askReason } from './ask.ts';
import { BaseCommand } from './base-command.ts';
import { chooseTarget } from './choose-target.ts';
import { withFirstSteps } from './first-steps.ts';
import { ForwardScreen, outcomeOf } from './forward-screen.ts';
import { heldFor } from './held-for.ts';
import { isMonitored, type MonitorFlags, Monitoring, monitored, routeText, withMonitor } from './monitoring.ts';
import { closedJson, errorEventJson, type Place } from './present/event-json.ts';
import type { EventJson } from './present/event-schema.ts';
import type { ExplanationJson } from './present/explain-report.ts';
import { orphanNote } from './present/orphan-note.ts';
import { printable } from './present/printable.ts';
import { expiringText } from './present/tunnel-lines.ts';
import { reportError } from './report-error.ts';

/** What `--json` prints: the last event, or the explanation of each route. */
export type TunnelResult = EventJson | readonly ExplanationJson[];

/** What a command has to serve. */
export interface ServedPlan {
  /** What the user called the target. */
  readonly name: string;
  readonly plan: TunnelPlan;
  /** Of the plan, with the target that was chosen where its name had several. */
  readonly planned: PlannedRequest;
  readonly isProbed: boolean;
}

/** A command that holds a tunnel open in the foreground until a signal, a limit or the cloud ends it. */
export abstract class TunnelCommand extends BaseCommand {
  #isStreaming = false;
  #monitorFlags: MonitorFlags = {};

  /** @param name what the user called the target */
  protected async hold(
    name: string,
    asked: TunnelPlan,
    flags: { readonly explain: boolean; readonly 'no-probe'?: boolean; readonly fresh?: boolean } & MonitorFlags,
  ): Promise<TunnelResult> {
    this.#isStreaming = !flags.explain;
    this.#monitorFlags = flags;
    // What is looked at from outside has to be of this process.
    const held =
      flags.explain || flags.fresh || isMonitored(flags, this.world.env) ? undefined : await heldFor(this.world, asked);
    if (held) return await this.#follow(held);
    await using app = await composeApp(this.world, questionOf(asked), this.prompts);
    try {
      if (flags.explain) return await this.#explain(app, asked);
      const plan = permitted(app, await this.withReason(name, withMonitor(asked, flags)));
      return await this.#hold(app, name, plan, !flags['no-probe']);
    } catch (thrown) {
      throw withFirstSteps(thrown, app.firstSteps);
    }
  }

  /** Serves what was planned until its end, and shows its life; the result is the last event. */
  protected async serve(app: App, { name, plan, planned, isProbed }: ServedPlan): Promise<EventJson> {
    const { terminal } = this;
    const options = { placeOf: placesOf(app), name, user: plan.user, isJson: this.jsonEnabled() };
    const screen = new ForwardScreen(this.world, terminal, options);
    screen.opening();
    await using monitoring = await this.monitoring([name]);
    const onEvent = (event: ForwardEvent) => {
      // First: whoever reads the line may look at once.
      monitoring.changed(event.type === 'draining');
      screen.onEvent(event);
    };
    await using forward = await openPlanned(app, plan, planned, { isProbed, onEvent }, this.signal);
    using _ending = this.drainsFirst(forward);
    monitoring.watch(() => [monitored(name, forward.status(), forward.local.flat(), routeText(forward.route(0)))]);
    await forward.ready;
    monitoring.ready();
    if (!isProbed) terminal.note('  not probed: nothing is opened before the first connection');
    const report = await forward.closed;
    return this.ended(report, () => screen.closed(report));
  }

  /** Whatever looks at this command from outside, as its flags and systemd want it. @param names what has to be ready */
  protected monitoring(names: readonly string[]): Promise<Monitoring> {
    const fail = (error: unknown) => this.interruption.end(error, 'cut');
    return Monitoring.start(this.world, { flags: this.#monitorFlags, names, version: this.config.version, fail });
  }

  /** The first signal drains, the second cuts. */
  protected drainsFirst(service: Pick<RunningForward, 'drain' | 'cut'>): Disposable {
    return this.interruption.drainFirst({
      drain: () => service.drain('interrupted'),
      cut: () => service.cut('interrupted'),
    });
  }

  /** Sets the exit code and shows the end, an error last. */
  protected ended(report: ForwardReport, show: () => EventJson): EventJson {
    const { exitCode, error } = outcomeOf(report, this.interruption.exitCode);
    process.exitCode ??= exitCode;
    const closed = show();
    if (error && !this.jsonEnabled()) reportError(error, this.terminal, this.world.log.level);
    return closed;
  }

  /** Asks for the reason that the policy wants, where somebody can answer. */
  protected async withReason(name: string, plan: TunnelPlan): Promise<TunnelPlan> {
    if (!lacksReason(plan) || !this.terminal.canAsk) return plan;
    const reason = await askReason(printable(name), this.signal);
    return { ...plan, request: { ...plan.request, reason } };
  }

  /** For what is no service with limits of its own: told before the time of the policy is over, then cut. */
  protected endsByPolicy({ settings: { longest, hoursEnd } }: TunnelPlan): Disposable {
    if (longest === undefined && hoursEnd === undefined) return { [Symbol.dispose]: () => {} };
    const limits = { ttl: longest, idle: undefined, grace: 0, hoursEnd };
    const watch = new LimitWatch(this.world, limits, (step) => {
      if (step.do === 'tell') this.terminal.note(expiringText({ type: 'expiring', ...step }));
      else this.interruption.end(timeIsOver(step.because), 'cut');
    });
    return { [Symbol.dispose]: () => watch.stop() };
  }

  /** Shows a tunnel that a supervisor holds; the first signal leaves it as it is. */
  async #follow(held: HeldStatus): Promise<EventJson> {
    const { name } = held;
    const options = { name, user: undefined, isJson: this.jsonEnabled(), isHeld: true };
    const place: Place = { profile: undefined, label: '', ...held.place };
    const screen = new ForwardScreen(this.world, this.terminal, { ...options, placeOf: () => place });
    using supervisor = await connectSupervisor(this.world);
    if (supervisor === undefined) throw new CloudtunError('CT_TUNNEL_LOST', 'the supervisor went away');
    const leave = () => supervisor[Symbol.dispose]();
    using _leaving = this.interruption.drainFirst({ drain: leave, cut: leave });
    this.terminal.note(`  ${name} is held in the background: Ctrl-C leaves it open, cloudtun down ${name} closes it`);
    try {
      for await (const reply of supervisor.ask({ do: 'watch', names: [name] })) {
        if (reply.say === 'event') screen.onEvent(reply.event);
        if (reply.say === 'failed') throw reply.error;
        if (reply.say === 'closed') return this.ended(reply.report, () => screen.closed(reply.report));
      }
    } catch (error) {
      if (this.interruption.exitCode === undefined) throw error;
    }
    this.endAsTold();
    this.terminal.note(`left open; close it with: cloudtun down ${name}`);
    const { clients: _, connections, bytesUp, bytesDown } = held;
    const report: ForwardReport = { reason: 'interrupted', duration: 0, connections, bytesUp, bytesDown };
    return closedJson(report, this.world.clock.wall());
  }

  async #hold(app: App, name: string, plan: TunnelPlan, isProbed: boolean): Promise<EventJson> {
    for (const orphan of await endOrphans(app, this.signal)) this.terminal.note(orphanNote(orphan));
    const { terminal } = this;
    const open = async (planned: PlannedRequest) => {
      this.signal.throwIfAborted();
      return await this.serve(app, { name, plan, planned, isProbed });
    };
    const planned = { request: plan.request, candidates: app.candidates };
    try {
      return await open(planned);
    } catch (thrown) {
      const isAmbiguous = thrown instanceof CloudtunError && thrown.code === 'CT_TARGET_AMBIGUOUS';
      if (!isAmbiguous || !terminal.canAsk) throw thrown;
      terminal.settle();
      return await open(await chooseTarget(planned, thrown, this.signal));
    }
  }

  async #explain(app: App, plan: TunnelPlan): Promise<readonly ExplanationJson[]> {
    const { explanationJson, explanationLines } = await import('./present/explain-report.ts');
    this.terminal.progress(`asking ${app.providers.map(({ label }) => label).join(' and ')} ...`);
    const planned = { request: plan.request, candidates: app.candidates };
    const { provider, target } = await settled(app, planned, () => {}, this.signal);
    const rules = listenRules(plan, () => provider);
    const explained = await explainTunnel({ provider }, plan.request, this.signal, target);
    const explanations = await Promise.all(explained.map((each) => this.#withLogin(each, provider, plan)));
    const local = rules.map(({ bind, port }) => addresses(bind).map((host) => localName(host, port)));
    if (!this.jsonEnabled()) {
      for (const [index, explanation] of explanations.entries()) {
        for (const line of explanationLines(explanation, local[index]!, provider)) this.terminal.result(line);
      }
      const judgement = judge(plan, this.world.clock.wall());
      if ('error' in judgement) this.terminal.note(`the policy would refuse it: ${printable(judgement.error.message)}`);
      this.terminal.note('nothing was opened');
    }
    return explanations.map((explanation, index) => explanationJson(explanation, local[index]!));
  }

  /** What letting a key in asks of the cloud, besides the way there. */
  async #withLogin(explanation: TunnelExplanation, { logins }: Provider, plan: TunnelPlan): Promise<TunnelExplanation> {
    const { route, access } = explanation;
    const { target } = route;
    if (!plan.pushedKey || !logins || target.kind !== 'machine') return explanation;
    const more = await logins.access(target, plan.pushedKey.user, this.signal);
    return { route, access: { ...access, actions: [...access.actions, ...more] } };
  }

  protected override toErrorJson(thrown: unknown): object {
    if (!this.#isStreaming) return super.toErrorJson(thrown);
    return errorEventJson(asCloudtunError(thrown), this.world.clock.wall());
  }

  /** One line for each event, so that a program can read them as they come. */
  protected override logJson(json: unknown): void {
    if (this.#isStreaming) this.terminal.result(JSON.stringify(json));
    else super.logJson(json);
  }
}

function addresses(bind: readonly string[]): readonly string[] {
  return bind.flatMap((host) => (host === 'localhost' ? loopbackAddresses() : host));
}

function localName(host: string, port: number): string {
  return port === 0 ? `any free port of ${host}` : formatEndpoint({ host, port });
}

/** Where the targets of a cloud are. */
export function placesOf(app: App): (cloud: ProviderId) => Place {
  return (cloud) => app.providers.find(({ id }) => id === cloud) ?? nowhere(cloud);
}

/** A cloud that no provider was made for has no routes, so this is never shown. */
function nowhere(cloud: ProviderId): Place {
  return { label: cloud, profile: undefined };
}

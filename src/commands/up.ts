import { Args, Flags } from '@oclif/core';
import { StartLimiter } from '../broker/start-limiter.ts';
import { askReason } from '../cli/ask.ts';
import { BaseCommand } from '../cli/base-command.ts';
import { DOCUMENT_FLAG, hopsOf, listOf, MONITOR_FLAGS, SELECTION_FLAGS, TUNNEL_FLAGS, VIA_FLAG } from '../cli/flags.ts';
import { HeldScreens } from '../cli/held-screens.ts';
import { checkMonitorAddress, type MonitorFlags, Monitoring } from '../cli/monitoring.ts';
import { ownCommand } from '../cli/own-command.ts';
import { errorEventJson } from '../cli/present/event-json.ts';
import { orphanNote } from '../cli/present/orphan-note.ts';
import { printable } from '../cli/present/printable.ts';
import { reportError } from '../cli/report-error.ts';
import { composeApp, farPortOf } from '../compose.ts';
import type { Catalogue } from '../config/catalogue.ts';
import { loadCatalogue } from '../config/load.ts';
import { asCloudtunError, CloudtunError } from '../domain/errors.ts';
import { expandGroups, planNamed } from '../plan/named-plan.ts';
import { lacksReason } from '../plan/policy.ts';
import { connectSupervisor, type SupervisorConnection } from '../supervisor/control-client.ts';
import { Foreground } from '../supervisor/foreground.ts';
import { originOf } from '../supervisor/origin.ts';
import type { Reply, WishFlags } from '../supervisor/protocol.ts';
import { reachSupervisor } from '../supervisor/start-supervisor.ts';

const { explain: _, fresh: _fresh, ...HELD_FLAGS } = TUNNEL_FLAGS;

export default class Up extends BaseCommand {
  static override summary = 'bring tunnels up in the background, and leave them open';
  static override description =
    'One supervisor holds them, whatever becomes of this terminal, until down, their time limit, or the end of the machine. ' +
    'What is up already as wished stays as it is. NAME is a target or a group of cloudtun.yaml, rds:NAME, sql:NAME, or MACHINE:PORT.';
  static override examples = [
    '<%= config.bin %> up dev',
    '<%= config.bin %> up prod admin --ttl 12h --idle none',
    {
      description: 'Ports at once, sessions at the first connection:',
      command: '<%= config.bin %> up --all --on-demand',
    },
    { description: 'For systemd, containers, Kubernetes:', command: '<%= config.bin %> up dev --foreground' },
  ];
  static override args = {
    names: Args.string({ description: 'targets or groups', multiple: true, ignoreStdin: true }),
  };
  static override flags = {
    ...SELECTION_FLAGS,
    ...HELD_FLAGS,
    ...DOCUMENT_FLAG,
    ...VIA_FLAG,
    ...MONITOR_FLAGS,
    all: Flags.boolean({ description: 'every target of cloudtun.yaml that names its far end', env: 'CLOUDTUN_ALL' }),
    'on-demand': Flags.boolean({
      description: 'listen at once, open at the first connection, close when unused',
      env: 'CLOUDTUN_ON_DEMAND',
    }),
    foreground: Flags.boolean({
      description: 'hold them in this process; SIGHUP reads cloudtun.yaml again',
      env: 'CLOUDTUN_FOREGROUND',
      exclusive: ['no-wait'],
    }),
    'no-wait': Flags.boolean({ description: 'do not wait until they are ready', env: 'CLOUDTUN_NO_WAIT' }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Up);
    const catalogue = await loadCatalogue(this.world);
    const names = namesIn(args.names ?? [], flags.all, catalogue);
    const { ttl, idle, grace, reason, document, profile, region, project, zone, sessions } = flags;
    const wish: WishFlags = {
      ...definedOnly({ ttl, idle, grace, reason, document, profile, region, project, zone, sessions }),
      ...definedOnly({ bind: listOf(flags.bind), via: hopsOf(flags.via) }),
      ...(flags['max-bytes'] !== undefined && { 'max-bytes': flags['max-bytes'] }),
      ...(flags['keep-active'] && { 'keep-active': true }),
      ...(flags['no-probe'] && { noProbe: true }),
      ...(flags['on-demand'] && { onDemand: true }),
    };
    const targets = expandGroups(names, catalogue);
    const wished = await this.#withReason(targets, wish, catalogue);
    if (flags.foreground) await this.#hold(names, targets, wished, flags, catalogue);
    else await this.#bringUp(targets, wished, flags['no-wait']);
  }

  /** Asked once for all of them, where the policy wants a reason for one and somebody can answer. */
  async #withReason(names: readonly string[], wish: WishFlags, catalogue: Catalogue): Promise<WishFlags> {
    if (wish.reason !== undefined || !this.terminal.canAsk) return wish;
    const plans = await Promise.all(names.map((name) => planNamed(name, wish, catalogue, farPortOf)));
    const wanting = names.filter((_, index) => lacksReason(plans[index]!));
    if (wanting.length === 0) return wish;
    return { ...wish, reason: await askReason(printable(wanting.join(', ')), this.signal) };
  }

  async #bringUp(names: readonly string[], flags: WishFlags, isUnawaited: boolean): Promise<void> {
    this.terminal.progress(`opening ${names.join(', ')} ...`);
    const screens = new HeldScreens(this.world, this.terminal, this.jsonEnabled());
    const failures: CloudtunError[] = [];
    using supervisor = await reachSupervisor(this.world, ownCommand()[1]!);
    const leave = () => supervisor[Symbol.dispose]();
    this.signal.addEventListener('abort', leave, { once: true });
    const request = {
      do: 'up' as const,
      wishes: names.map((name) => ({ name, flags })),
      origin: originOf(this.world),
      ...(isUnawaited && { isUnawaited }),
    };
    try {
      for await (const reply of supervisor.ask(request)) this.#show(reply, screens, failures);
    } catch (error) {
      if (!this.signal.aborted) throw error;
      await this.#callOff(names.filter((name) => !screens.ready.has(name)));
      throw this.signal.reason;
    }
    const [first] = failures;
    if (isUnawaited && failures.length < names.length)
      this.terminal.note(`opening; wait with: cloudtun wait ${names.join(' ')}`);
    if (first) this.endWith(first.exitCode);
  }

  #show(reply: Reply, screens: HeldScreens, failures: CloudtunError[]): void {
    if (reply.say === 'event') screens.onEvent(reply);
    if (reply.say === 'held' && !reply.isNew && !screens.ready.has(reply.name)) {
      this.terminal.note(`${reply.name} was up`);
    }
    if (reply.say === 'warning') this.world.log.warn(reply.message);
    if (reply.say !== 'failed') return;
    const { name, error } = reply;
    failures.push(error);
    const failed = { ...errorEventJson(error, this.world.clock.wall()), tunnel: name };
    if (this.jsonEnabled()) this.logJson(failed);
    else reportError(error, this.terminal, this.world.log.level);
  }

  /** What is not ready when somebody presses Ctrl-C is not wanted any more; what is ready stays. */
  async #callOff(names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    using supervisor: SupervisorConnection | undefined = await connectSupervisor(this.world);
    if (supervisor === undefined) return;
    for await (const _ of supervisor.ask({ do: 'down', names, cut: true }));
  }

  async #hold(
    names: readonly string[],
    targets: readonly string[],
    flags: WishFlags,
    monitorFlags: MonitorFlags,
    catalogue: Catalogue,
  ): Promise<void> {
    checkMonitorAddress(monitorFlags, catalogue.policy);
    const screens = new HeldScreens(this.world, this.terminal, this.jsonEnabled());
    const starts = new StartLimiter(this.world);
    await using monitoring = await Monitoring.start(this.world, {
      flags: monitorFlags,
      names: targets,
      version: this.config.version,
      fail: (error) => this.interruption.end(error, 'cut'),
    });
    let worst: CloudtunError | undefined;
    await using foreground = new Foreground({
      world: this.world,
      names,
      flags,
      context: {
        openApp: (world, question) => composeApp(world, question, this.prompts, undefined, starts),
        farPortOf,
        onOrphans: (orphans) => {
          for (const orphan of orphans) this.terminal.note(orphanNote(orphan));
        },
      },
      onEvent: (reply) => {
        screens.onEvent(reply);
        monitoring.changed(false);
      },
      onClosed: (name, report) => {
        monitoring.changed(false);
        const closed = screens.screen(name).closed(report);
        if (this.jsonEnabled()) this.terminal.result(JSON.stringify(closed));
        if (report.error) worst ??= asCloudtunError(report.error);
      },
    });
    // In a terminal, SIGHUP says that it was closed.
    if (!this.terminal.isWatched) {
      this.interruption.reloadOnHangup(() => {
        monitoring.reloading(foreground.reload()).catch((error: unknown) => {
          this.world.log.warn(`${asCloudtunError(error).message}; what is open stays as it was`);
        });
      });
    }
    using _draining = this.interruption.drainFirst({
      drain: () => {
        monitoring.changed(true);
        void foreground.drain();
      },
      cut: () => foreground.cut(),
    });
    monitoring.watch(() => foreground.set.list());
    await foreground.start();
    monitoring.ready();
    await foreground.ended;
    this.endAsTold();
    if (worst) {
      this.endWith(worst.exitCode);
      if (!this.jsonEnabled()) reportError(worst, this.terminal, this.world.log.level);
    }
  }

  protected override toErrorJson(thrown: unknown): object {
    return errorEventJson(asCloudtunError(thrown), this.world.clock.wall());
  }

  /** One line for each event, so that a program can read them as they come; they are the result. */
  protected override logJson(json: unknown): void {
    if (json !== undefined) this.terminal.result(JSON.stringify(json));
  }
}

function namesIn(given: readonly string[], isAll: boolean, catalogue: Catalogue): readonly string[] {
  if (isAll) {
    const all = [...catalogue.targets.values()].filter((target) => target.kind !== 'machine' || target.hostPort);
    if (all.length > 0) return all.map(({ name }) => name);
  }
  if (given.length > 0) return given;
  const groups = [...catalogue.groups.keys()];
  throw new CloudtunError('CT_USAGE', isAll ? 'no cloudtun.yaml names a target to bring up' : 'which tunnels?', {
    hint: [
      ...(groups.length > 0 ? [`a group: ${groups.slice(0, 10).join(', ')}`] : []),
      'a target of cloudtun.yaml, rds:NAME, sql:NAME or MACHINE:PORT; all targets: cloudtun up --all',
    ],
  });
}

function definedOnly<Value extends object>(value: Value): { [Key in keyof Value]?: Exclude<Value[Key], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as never;
}

import { readFile } from 'node:fs/promises';
import { StartLimiter } from '../broker/start-limiter.ts';
import { composeApp, composeProviders, farPortOf } from '../compose.ts';
import type { Catalogue } from '../config/catalogue.ts';
import { parseDuration } from '../domain/duration.ts';
import { CloudtunError, systemCode } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import type { ProviderId } from '../domain/target.ts';
import { clientCommand } from '../exec/client-command.ts';
import { mysqlFamily } from '../exec/client-family.ts';
import { type ClientSet, makeClientSet } from '../exec/client-set.ts';
import { checkPrefixes } from '../exec/core/variable-names.ts';
import { type OpenNames, openNames, type WantedName } from '../exec/open-names.ts';
import { expandGroups, planNamed } from '../plan/named-plan.ts';
import { type PlanFlags, questionOf, type TunnelPlan } from '../plan/tunnel-plan.ts';
import type { Provider } from '../providers/provider.ts';
import { hostUser } from '../runtime/host-user.ts';
import { Lifetime } from '../runtime/lifetime.ts';
import { startChild } from '../runtime/run-child.ts';
import { passSignals } from './child-signals.ts';
import { ExecScreen } from './exec-screen.ts';
import { outcomeOf } from './forward-screen.ts';
import { heldRoute } from './held-route.ts';
import { connectionText, PRINT_FORMS, type PrintForm } from './present/connection-text.ts';
import { orphanNote } from './present/orphan-note.ts';
import { closedLine } from './present/tunnel-lines.ts';
import { placesOf, TunnelCommand, type TunnelResult } from './tunnel-command.ts';

/** Our own failures, so that they are told from those of the command (as `env`, `timeout` and `docker run` have it). */
const OWN_FAILURE = 125;
const OF_THE_COMMAND = [126, 127];

const RETRIES = 2;
const CONNECT_TIMEOUT = '30s';

/** What decides how names are opened for a command. */
export interface ExecFlags extends PlanFlags {
  readonly retries?: number | undefined;
  readonly 'connect-timeout'?: string | undefined;
  readonly 'db-ca'?: string | undefined;
  readonly 'no-probe'?: boolean | undefined;
  readonly fresh?: boolean | undefined;
}

/** Open names with what their clients read. */
export interface OpenClients {
  readonly opened: OpenNames;
  readonly clients: ClientSet;
}

/** A command that opens names for the time that another program runs. */
export abstract class ExecCommand extends TunnelCommand {
  #isForCommand = false;
  #isPrinted = false;
  /** What stands behind `--`; undefined without it. */
  protected words: readonly string[] | undefined;

  protected override failureCode(error: CloudtunError): number {
    const { exitCode } = error;
    return this.#isForCommand && !OF_THE_COMMAND.includes(exitCode) ? OWN_FAILURE : exitCode;
  }

  /** Whether exit codes are those of `exec`, and stdout is the command's. */
  protected speakForCommand(isForCommand = true): void {
    this.#isForCommand = isForCommand;
  }

  protected override logJson(json: unknown): void {
    const isResult = Array.isArray(json);
    if (!this.#isForCommand && !(this.#isPrinted && isResult)) super.logJson(json);
    else if (!isResult) this.terminal.aside().result(JSON.stringify(json));
  }

  /** The plans of names and groups. A port that nobody asked for is any free one: jobs may run side by side. */
  protected async plansOf(
    typed: readonly string[],
    flags: ExecFlags,
    catalogue: Catalogue,
  ): Promise<readonly WantedName[]> {
    const names = expandGroups(typed, catalogue);
    checkPrefixes(names);
    if (names.length > 1 && flags.port !== undefined && flags.port !== 'auto') {
      throw new CloudtunError('CT_USAGE', `--port ${flags.port} is one port, and ${names.length} names need one each`, {
        hint: 'give each its port in cloudtun.yaml, or take free ones: --port auto',
      });
    }
    return Promise.all(
      names.map(async (name) => {
        const entry = catalogue.targets.get(name);
        const port = flags.port ?? (entry?.port === undefined ? 'auto' : undefined);
        // The command is the end of it; a limit is one that somebody asked for.
        const own = { ...flags, port, usualTtl: 'none', idle: flags.idle ?? 'none' };
        const plan = await planNamed(name, own, catalogue, farPortOf);
        return { name, entry, plan: await this.withReason(name, plan) };
      }),
    );
  }

  /** Opens names and makes what their clients read. Disposed by `lifetime`. */
  protected async openClients(
    wanted: readonly WantedName[],
    flags: ExecFlags,
    screen: ExecScreen,
    lifetime: Lifetime,
  ): Promise<OpenClients> {
    const { world, signal } = this;
    const starts = new StartLimiter(world);
    const places = new Map<string, ReturnType<typeof placesOf>>();
    const authorities = flags['db-ca'] === undefined ? undefined : await readAuthorities(flags['db-ca']);
    const opened = lifetime.use(
      await openNames(
        world,
        wanted,
        {
          compose: async (plan) => {
            const app = await composeApp(world, questionOf(plan), this.prompts, undefined, starts);
            for (const each of wanted) if (each.plan === plan) places.set(each.name, placesOf(app));
            return app;
          },
          held: async (plan) => (flags.fresh ? undefined : heldRoute(world, plan)),
          isProbed: !flags['no-probe'],
          retries: flags.retries ?? RETRIES,
          connectTimeout: connectTimeoutOf(flags),
          onEvent: (name, event) => screen.event(name, event, places.get(name)!),
          onRetry: (name, error, pause) => screen.retry(name, error, pause),
          onOrphan: (orphan) => screen.note(orphanNote(orphan)),
        },
        signal,
      ),
    );
    const clients = await makeClientSet(
      world,
      opened.names,
      {
        authorities,
        family: mysqlFamily(world.env),
        providerOf: (cloud) => this.#providerOf(cloud, wanted, lifetime),
        onTrouble: (name, error) => screen.warn(`${name}: no new token: ${error.message} (${error.code})`),
        onNote: (text) => screen.note(text),
      },
      signal,
    );
    lifetime.defer(() => clients[Symbol.dispose]());
    for (const name of opened.names) screen.ready(name);
    return { opened, clients };
  }

  /** Runs a command with what its clients read, and closes everything behind it; its exit code is ours. */
  protected async runCommand(
    wanted: readonly WantedName[],
    flags: ExecFlags,
    commandOf: (clients: ClientSet) => readonly string[],
  ): Promise<void> {
    const { world, signal } = this;
    const screen = new ExecScreen(world, this.terminal.aside(), this.jsonEnabled());
    const lifetime = new Lifetime();
    try {
      const { opened, clients } = await this.openClients(wanted, flags, screen, lifetime);
      signal.throwIfAborted();
      const [command = '', ...commandLine] = commandOf(clients);
      const env = { ...world.env, ...clients.variables };
      const grace = wanted[0]!.plan.settings.grace;
      const start = world.clock.now();
      recordCommand(opened, command);
      const child = await startChild(command, commandLine, { env, cwd: world.cwd });
      const onKilled = () => screen.warn(`the command did not end within ${grace / 1_000} s (--grace), and is killed`);
      const signals = passSignals(child, this.interruption, { clock: world.clock, grace, onKilled });
      const end = await child.ended;
      const took = world.clock.now() - start;
      signals[Symbol.dispose]();
      // No secret stays longer than the command.
      clients[Symbol.dispose]();
      using _again = this.interruption.drainFirst({
        drain: () => {},
        cut: () => {
          for (const { forward } of opened.names) forward?.cut('ended');
        },
      });
      const reports = await opened.close();
      screen.ended(end, took, opened.names, reports);
      this.endWith(end.exitCode);
    } finally {
      await lifetime[Symbol.asyncDispose]();
    }
  }

  /** What `rds` and `sql` are told to do with their database. */
  protected async useOrHold(
    name: string,
    asked: TunnelPlan,
    catalogue: Catalogue,
    flags: Parameters<TunnelCommand['hold']>[2] &
      ExecFlags & { readonly client: boolean; readonly print?: string | undefined; readonly reveal: boolean },
  ): Promise<TunnelResult> {
    if (this.words !== undefined && !flags.client) {
      throw new CloudtunError('CT_USAGE', 'what stands behind -- is for a client, and none was asked for', {
        hint: `start the usual one with --client, or any command: cloudtun exec ${name} -- COMMAND`,
      });
    }
    const form = PRINT_FORMS.find((each) => each === flags.print);
    if (!flags.client && form === undefined) return await this.hold(name, asked, flags);
    this.speakForCommand(flags.client);
    const wanted = { name, entry: catalogue.targets.get(name), plan: await this.withReason(name, asked) };
    if (form === undefined) await this.runClient(wanted, flags);
    else await this.printConnection(wanted, { ...flags, print: form });
    return [];
  }

  /** Takes what stands behind `--` out of the arguments. */
  protected separateWords(): void {
    const end = this.argv.indexOf('--');
    if (end < 0) return;
    this.words = this.argv.slice(end + 1);
    this.argv = this.argv.slice(0, end);
  }

  /** Starts the usual client of a database, as `exec` would. */
  protected async runClient(wanted: WantedName, flags: ExecFlags): Promise<void> {
    const { terminal, world } = this;
    const words = this.words ?? [];
    await this.runCommand([wanted], flags, ({ parts }) => clientCommand(parts[0]!, words, world.env, terminal.canAsk));
  }

  /** Prints where clients connect, and holds the tunnel until a signal or a limit; one that is held elsewhere is only told of. */
  protected async printConnection(
    wanted: WantedName,
    flags: ExecFlags & { readonly print: PrintForm; readonly reveal: boolean },
  ): Promise<void> {
    const screen = new ExecScreen(this.world, this.terminal.aside(), false);
    const lifetime = new Lifetime();
    try {
      const { opened, clients } = await this.openClients([wanted], flags, screen, lifetime);
      this.#isPrinted = true;
      const forward = opened.names[0]?.forward;
      const part = clients.parts[0]!;
      // Of one that is held elsewhere the files go with this command, so nobody may be told to use them.
      const lasting = forward === undefined ? { ...part, paths: {} } : part;
      this.terminal.result(connectionText(lasting, flags.print, flags.reveal));
      if (forward === undefined) return;
      using _ending = this.drainsFirst(forward);
      const report = await forward.closed;
      const { exitCode, error } = outcomeOf(report, this.interruption.exitCode);
      screen.note(closedLine(report));
      if (error) throw error;
      this.endWith(exitCode);
    } finally {
      await lifetime[Symbol.asyncDispose]();
    }
  }

  /** The first name whose plan is in a cloud says who asks there; else what is set up for it. */
  async #providerOf(cloud: ProviderId, wanted: readonly WantedName[], lifetime: Lifetime): Promise<Provider> {
    const selection = wanted[0]!.plan.settings.selection;
    const question = { cloud, target: '', said: {}, selection };
    const set = lifetime.use(await composeProviders(this.world, question, this.prompts));
    return set.providers[0]!;
  }
}

/** Of each name that is open for it. @throws CT_JOURNAL: nothing is run that cannot be recorded */
function recordCommand({ names }: OpenNames, command: string): void {
  const { user, host } = hostUser();
  for (const { name, app } of names) {
    const program = command.split('/').at(-1) ?? command;
    app.journal.record({
      event: 'command',
      program,
      with: 'exec',
      asked: name,
      hostUser: user,
      host,
      pid: app.world.pid,
    });
  }
}

function connectTimeoutOf(flags: ExecFlags): Millis {
  const limit = parseDuration(flags['connect-timeout'] ?? CONNECT_TIMEOUT, '--connect-timeout');
  return limit ?? Number.MAX_SAFE_INTEGER;
}

async function readAuthorities(path: string): Promise<string> {
  const hint = 'a file with certificates in PEM form, such as the global-bundle.pem of RDS';
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    const why = systemCode(cause) ?? 'unknown reason';
    throw new CloudtunError('CT_CONFIG', `--db-ca ${path} cannot be read (${why})`, { hint, cause });
  });
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw new CloudtunError('CT_CONFIG', `--db-ca ${path} holds no certificate`, { hint });
}

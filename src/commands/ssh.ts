import { constants } from 'node:os';
import { Args, Flags } from '@oclif/core';
import { ExposeScreen } from '../cli/expose-screen.ts';
import { DOCUMENT_FLAG, hopsOf, JUMP_FLAG, SELECTION_FLAGS, TUNNEL_FLAGS } from '../cli/flags.ts';
import { ForwardScreen } from '../cli/forward-screen.ts';
import { LOGIN_FLAGS } from '../cli/login-flags.ts';
import { openPlannedLogin, type PlannedLogin } from '../cli/planned-login.ts';
import { closedJson } from '../cli/present/event-json.ts';
import type { EventJson } from '../cli/present/event-schema.ts';
import { closedLine } from '../cli/present/tunnel-lines.ts';
import { SocksScreen } from '../cli/socks-screen.ts';
import { parseDestination, separateCommand } from '../cli/ssh-arguments.ts';
import { foreignFlag } from '../cli/ssh-foreign-flags.ts';
import { SshForwards } from '../cli/ssh-forwards.ts';
import { describeRules, hasRules, listensOf } from '../cli/ssh-rules.ts';
import { loginListener } from '../cli/ssh-screen.ts';
import { hasKeyboard, sshTerminal } from '../cli/ssh-terminal.ts';
import { type SshWishes, sshWishes } from '../cli/ssh-wishes.ts';
import { placesOf, type ServedPlan, TunnelCommand, type TunnelResult } from '../cli/tunnel-command.ts';
import { loadCatalogue } from '../config/load.ts';
import { CloudtunError } from '../domain/errors.ts';
import { programName } from '../domain/program-name.ts';
import type { ForwardReport } from '../forward/forward-types.ts';
import type { App } from '../plan/app.ts';
import { planSsh } from '../plan/tunnel-plan.ts';
import { withDeadline } from '../runtime/deadline.ts';
import type { LoginWish } from '../ssh/open-login.ts';
import type { SessionEnd } from '../ssh/run-command.ts';
import type { SshConnection } from '../ssh/ssh-connection.ts';

const { grace, reason, explain, 'max-bytes': maxBytes } = TUNNEL_FLAGS;

export default class Ssh extends TunnelCommand {
  static override summary = 'log in to a machine, or run one command on it';
  static override description =
    'With its own SSH client and a key that lives in memory for this login: EC2 Instance Connect lets it in on AWS, OS Login or ' +
    'the metadata of the instance on Google Cloud. Host keys are checked: those the cloud publishes, else the one that was seen ' +
    'first. The exit code is that of the command. In a terminal, ~. at the start of a line closes the connection.';
  static override examples = [
    '<%= config.bin %> ssh web-1',
    "<%= config.bin %> ssh web-1 -- 'systemctl is-active orders'",
    '<%= config.bin %> ssh admin@i-0abc1234567890def -p 2222',
    '<%= config.bin %> ssh -t web-1 top',
    'tar c src | <%= config.bin %> ssh web-1 tar x',
    '<%= config.bin %> ssh -N -L 8080:admin.internal:80 web-1',
    '<%= config.bin %> ssh -D 1080 -R 9000:localhost:3000 web-1',
  ];
  static override strict = false;
  static override args = {
    target: Args.string({
      description:
        '[USER@]machine: id, name, private address, tag:Key=Value, project/zone/instance, or a name in cloudtun.yaml',
      required: true,
      ignoreStdin: true,
    }),
    command: Args.string({
      description: 'what to run there instead of a login shell',
      multiple: true,
      ignoreStdin: true,
    }),
  };
  static override flags = {
    ...SELECTION_FLAGS,
    local: Flags.string({
      env: 'CLOUDTUN_SSH_LOCAL',
      char: 'L',
      description: 'a local port that leads to a host which the machine reaches; may be repeated',
      helpValue: '[BIND:]PORT:HOST:HOSTPORT',
      multiple: true,
      multipleNonGreedy: true,
    }),
    'remote-forward': Flags.string({
      env: 'CLOUDTUN_SSH_REMOTE',
      char: 'R',
      description: 'a port of the machine that leads to a host which this side reaches; may be repeated',
      helpValue: '[BIND:]PORT:HOST:HOSTPORT',
      multiple: true,
      multipleNonGreedy: true,
    }),
    dynamic: Flags.string({
      env: 'CLOUDTUN_SSH_DYNAMIC',
      char: 'D',
      description: 'a local SOCKS and HTTP proxy through the machine; may be repeated',
      helpValue: '[BIND:]PORT',
      multiple: true,
      multipleNonGreedy: true,
    }),
    'no-session': Flags.boolean({
      env: 'CLOUDTUN_SSH_NO_SESSION',
      char: 'N',
      description: 'forward only; no session, until Ctrl-C or --ttl',
    }),
    ...LOGIN_FLAGS,
    tty: Flags.boolean({ env: 'CLOUDTUN_SSH_TTY', char: 't', description: 'run the command in a terminal' }),
    'forward-agent': Flags.boolean({
      env: 'CLOUDTUN_SSH_FORWARD_AGENT',
      char: 'A',
      description: 'let the machine use your ssh-agent while you are logged in',
    }),
    'no-tty': Flags.boolean({ env: 'CLOUDTUN_SSH_NO_TTY', char: 'T', description: 'no terminal on the far side' }),
    'no-input-stream': Flags.boolean({
      env: 'CLOUDTUN_SSH_NO_STDIN',
      char: 'n',
      description: 'read nothing from stdin',
    }),
    option: Flags.string({
      env: 'CLOUDTUN_SSH_OPTION',
      char: 'o',
      description: 'an option of ssh, as in ssh_config; may be repeated',
      helpValue: 'NAME=VALUE',
      multiple: true,
      multipleNonGreedy: true,
    }),
    ...JUMP_FLAG,
    ttl: Flags.string({
      description: 'with -N: close after this time, or none (default: 8h)',
      env: 'CLOUDTUN_TTL',
      helpValue: 'TIME',
    }),
    'max-bytes': maxBytes,
    grace,
    reason,
    explain,
    ...DOCUMENT_FLAG,
  };
  #wishes!: SshWishes;
  #wish!: LoginWish;
  #command: string | undefined;
  #isTerminal = false;

  override async init(): Promise<void> {
    const flags = { ...this.ctor.baseFlags, ...this.ctor.flags };
    this.argv = separateCommand(this.argv, flags);
    await super.init();
    const refused = foreignFlag(this.argv, flags);
    if (refused) throw refused;
  }

  async run(): Promise<TunnelResult> {
    const { args, flags } = await this.parse(Ssh);
    const destination = parseDestination(args.target);
    const words = args.command ?? [];
    this.#command = words.length === 0 ? undefined : words.join(' ');
    const wishes = sshWishes(this.world, flags);
    this.#wishes = wishes;
    if (wishes.hasNoSession) this.#checkNoSession();
    this.#isTerminal = this.#wantsTerminal();
    const said = wishes.user ?? destination.user;
    const planned = planSsh(
      destination.target,
      { ...flags, port: undefined, bind: undefined, via: hopsOf(flags.via) },
      await loadCatalogue(this.world),
      { port: wishes.port, use: this.#use(), user: said, hasOwnKey: wishes.hasOwnKey },
    );
    const plan = { ...planned, listens: listensOf(wishes.rules) };
    const user = said ?? plan.user;
    this.#wish = wishes.login({ user, port: plan.rules[0]!.to!.port });
    return await this.hold(destination.target, plan, flags);
  }

  protected override async serve(app: App, served: ServedPlan): Promise<EventJson> {
    await using forwards = await this.#bind(app, served);
    using _policy = this.#wishes.hasNoSession ? undefined : this.endsByPolicy(served.plan);
    await using login = await this.#logIn(app, served);
    return this.#wishes.hasNoSession ? await this.#forwardOnly(forwards, login) : await this.#converse(forwards, login);
  }

  /** One session, and the forwards beside it; what still runs through them when it is over is waited for. */
  async #converse(forwards: SshForwards, login: PlannedLogin): Promise<EventJson> {
    const { world } = this;
    const start = world.clock.now();
    if (hasRules(this.#wishes.rules)) await forwards.serve(login);
    if (this.#command !== undefined) login.opened.runs(programName(this.#command));
    const { end, bytesUp, bytesDown } = await this.#session(login.connection);
    let report: ForwardReport = {
      reason: 'ended',
      duration: world.clock.now() - start,
      connections: 1,
      bytesUp,
      bytesDown,
    };
    if (hasRules(this.#wishes.rules)) {
      using _ending = this.drainsFirst({ drain: () => forwards.cut('interrupted'), cut: () => {} });
      forwards.drain('ended');
      const forwarded = await forwards.closed();
      report = {
        ...report,
        connections: 1 + forwarded.connections,
        bytesUp: bytesUp + forwarded.bytesUp,
        bytesDown: bytesDown + forwarded.bytesDown,
      };
    }
    login.opened.ended(report);
    this.endWith(exitCodeOf(end));
    return closedJson(report, world.clock.wall());
  }

  async #forwardOnly(forwards: SshForwards, login: PlannedLogin): Promise<EventJson> {
    using _ending = this.drainsFirst(forwards);
    await forwards.serve(login);
    const report = await forwards.closed();
    login.opened.ended(report);
    return this.ended(report, () => {
      if (!this.jsonEnabled()) this.terminal.result(closedLine(report));
      return closedJson(report, this.world.clock.wall());
    });
  }

  async #logIn(app: App, { planned }: ServedPlan): Promise<PlannedLogin> {
    const { terminal, signal, world } = this;
    terminal.progress('connecting ...');
    const open = (calledOff: AbortSignal) =>
      openPlannedLogin(app, planned, this.#wish, { login: loginListener(terminal), tunnel: () => {} }, calledOff);
    const { connectTimeout } = this.#wishes;
    try {
      return connectTimeout === undefined
        ? await open(signal)
        : await withDeadline(world.clock, connectTimeout, open, signal);
    } catch (thrown) {
      if (!(thrown instanceof DOMException) || thrown.name !== 'TimeoutError') throw thrown;
      const limit = `${(connectTimeout ?? 0) / 1_000} s`;
      throw new CloudtunError('CT_TIMEOUT', `no login within ${limit} (ConnectTimeout)`, { cause: thrown });
    } finally {
      terminal.settle();
    }
  }

  /** Beside a session, what is said of forwards goes to stderr: stdout is the session's. */
  #bind(app: App, { name, plan }: ServedPlan): Promise<SshForwards> {
    const { rules, hasNoSession, needsAllForwards } = this.#wishes;
    const isJson = hasNoSession && this.jsonEnabled();
    const options = { placeOf: placesOf(app), name, user: undefined, isJson };
    const terminal = hasNoSession ? this.terminal : this.terminal.aside();
    const forwardScreen = new ForwardScreen(this.world, terminal, options);
    const socksScreen = new SocksScreen(this.world, terminal, options);
    const exposeScreen = new ExposeScreen(this.world, terminal, options);
    return SshForwards.bind(app, {
      rules,
      needsAll: needsAllForwards,
      limits: { ...plan.settings, idle: undefined, ...(!hasNoSession && { ttl: undefined, hoursEnd: undefined }) },
      tellsIdleDrain: hasNoSession,
      onForward: forwardScreen.onEvent,
      onSocks: socksScreen.onEvent,
      onExpose: exposeScreen.onEvent,
      onFailed: (rule, error) => this.world.log.warn(`${rule}: ${error.message} (${error.code})`),
    });
  }

  #session(connection: SshConnection) {
    return this.#isTerminal ? this.#shell(connection) : this.#run(connection);
  }

  async #shell(connection: SshConnection) {
    const { openShell } = await import('../ssh/open-shell.ts');
    const { variables, escapeWith } = this.#wishes;
    const options = {
      variables,
      ...(this.#command !== undefined && { command: this.#command }),
      ...(escapeWith !== undefined && { escapeWith }),
    };
    return openShell(connection, sshTerminal(), options, this.signal);
  }

  async #run(connection: SshConnection) {
    const { runCommand } = await import('../ssh/run-command.ts');
    const { input, output, errors } = sshTerminal();
    const streams = { output, errors, ...(this.#wishes.hasInput && { input }) };
    return runCommand(connection, this.#command, streams, this.signal, this.#wishes.variables);
  }

  #wantsTerminal(): boolean {
    const { tty } = this.#wishes;
    if (tty === 'always') return true;
    const isWanted = tty === 'if-keyboard' || (tty === 'for-shell' && this.#command === undefined);
    return isWanted && hasKeyboard();
  }

  #checkNoSession(): void {
    if (this.#command !== undefined) {
      throw new CloudtunError('CT_USAGE', '-N opens no session, and a command wants one', {
        hint: 'leave one of them out',
      });
    }
    if (hasRules(this.#wishes.rules)) return;
    throw new CloudtunError('CT_USAGE', '-N forwards only, and there is nothing to forward', {
      hint: 'say what, for example: -L 8080:admin.internal:80',
    });
  }

  /** For the journal. */
  #use(): string {
    const command = this.#command;
    const what = command === undefined ? 'ssh login' : `ssh command of ${command.length} characters`;
    const { rules, hasNoSession } = this.#wishes;
    if (!hasRules(rules)) return what;
    return hasNoSession ? `ssh -N ${describeRules(rules)}` : `${what}, ${describeRules(rules)}`;
  }
}

/** A signal that this system does not know counts as 128, like a shell would say. */
function exitCodeOf(end: SessionEnd): number {
  if ('code' in end) return end.code;
  return 128 + (Object.entries(constants.signals).find(([name]) => name === `SIG${end.signal}`)?.[1] ?? 0);
}

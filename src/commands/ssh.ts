import { constants } from 'node:os';
import { Args, Flags } from '@oclif/core';
import { DOCUMENT_FLAG, hopsOf, JUMP_FLAG, listOf, SELECTION_FLAGS, TUNNEL_FLAGS } from '../cli/flags.ts';
import { openPlannedLogin } from '../cli/planned-login.ts';
import { closedJson } from '../cli/present/event-json.ts';
import type { EventJson } from '../cli/present/event-schema.ts';
import { parseDestination, separateCommand } from '../cli/ssh-arguments.ts';
import { agentSocket, ownCredentials } from '../cli/ssh-credentials.ts';
import { loginListener } from '../cli/ssh-screen.ts';
import { hasKeyboard, sshTerminal } from '../cli/ssh-terminal.ts';
import { type ServedPlan, TunnelCommand, type TunnelResult } from '../cli/tunnel-command.ts';
import { planSsh } from '../cli/tunnel-plan.ts';
import type { App } from '../compose.ts';
import { loadCatalogue } from '../config/load.ts';
import type { LoginWish } from '../ssh/open-login.ts';
import type { SessionEnd } from '../ssh/run-command.ts';
import type { SshConnection } from '../ssh/ssh-connection.ts';

const { reason, explain } = TUNNEL_FLAGS;
const LARGEST_PORT = 65_535;

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
    login: Flags.string({
      env: 'CLOUDTUN_SSH_USER',
      char: 'l',
      description: 'user to log in as (default: guessed, and said)',
      helpValue: 'USER',
    }),
    port: Flags.integer({
      env: 'CLOUDTUN_SSH_PORT',
      char: 'p',
      description: 'port of the SSH server (default: 22)',
      min: 1,
      max: LARGEST_PORT,
      helpValue: 'PORT',
    }),
    identity: Flags.string({
      env: 'CLOUDTUN_SSH_IDENTITY',
      char: 'i',
      description: 'a private key of your own instead; may be repeated',
      helpValue: 'FILE',
      multiple: true,
      multipleNonGreedy: true,
    }),
    agent: Flags.boolean({ env: 'CLOUDTUN_SSH_AGENT', description: 'keys of your ssh-agent instead' }),
    tty: Flags.boolean({ env: 'CLOUDTUN_SSH_TTY', char: 't', description: 'run the command in a terminal' }),
    'forward-agent': Flags.boolean({
      env: 'CLOUDTUN_SSH_FORWARD_AGENT',
      char: 'A',
      description: 'let the machine use your ssh-agent while you are logged in',
    }),
    ...JUMP_FLAG,
    reason,
    explain,
    ...DOCUMENT_FLAG,
  };
  #wish!: LoginWish;
  #command: string | undefined;
  #isTerminal = false;

  override async init(): Promise<void> {
    this.argv = separateCommand(this.argv, { ...this.ctor.baseFlags, ...this.ctor.flags });
    await super.init();
  }

  async run(): Promise<TunnelResult> {
    const { args, flags } = await this.parse(Ssh);
    const destination = parseDestination(args.target);
    const words = args.command ?? [];
    this.#command = words.length === 0 ? undefined : words.join(' ');
    this.#isTerminal = hasKeyboard() && (this.#command === undefined || flags.tty);
    const plan = planSsh(
      destination.target,
      { ...flags, port: undefined, bind: undefined, via: hopsOf(flags.via) },
      await loadCatalogue(this.world),
      {
        port: flags.port,
        use: this.#command === undefined ? 'ssh login' : `ssh command of ${this.#command.length} characters`,
      },
    );
    this.#wish = {
      user: flags.login ?? destination.user ?? plan.user,
      port: plan.rules[0]!.to!.port,
      credentials: ownCredentials(this.world, { files: listOf(flags.identity) ?? [], withAgent: flags.agent }),
      forwardAgent: flags['forward-agent'] ? agentSocket(this.world, '-A') : undefined,
    };
    return await this.hold(destination.target, plan, flags);
  }

  protected override async serve(app: App, { planned }: ServedPlan): Promise<EventJson> {
    const { world, terminal, signal } = this;
    terminal.progress('connecting ...');
    await using login = await openPlannedLogin(
      app,
      planned,
      this.#wish,
      { login: loginListener(terminal), tunnel: () => {} },
      signal,
    );
    const { connection, opened } = login;
    terminal.settle();
    const start = world.clock.now();
    const { end, bytesUp, bytesDown } = await this.#session(connection);
    const report = {
      reason: 'ended' as const,
      duration: world.clock.now() - start,
      connections: 1,
      bytesUp,
      bytesDown,
    };
    opened.ended(report);
    this.endWith(exitCodeOf(end));
    return closedJson(report, world.clock.wall());
  }

  async #session(connection: SshConnection) {
    if (this.#isTerminal) {
      const { openShell } = await import('../ssh/open-shell.ts');
      const options = this.#command === undefined ? {} : { command: this.#command };
      return openShell(connection, sshTerminal(), options, this.signal);
    }
    const { runCommand } = await import('../ssh/run-command.ts');
    return runCommand(connection, this.#command, sshTerminal(), this.signal);
  }
}

/** A signal that this system does not know counts as 128, like a shell would say. */
function exitCodeOf(end: SessionEnd): number {
  if ('code' in end) return end.code;
  return 128 + (Object.entries(constants.signals).find(([name]) => name === `SIG${end.signal}`)?.[1] ?? 0);
}

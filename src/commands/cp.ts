import { Args, Flags } from '@oclif/core';
import { type CopyPlan, copyPlan, resumeCommand } from '../cli/copy-arguments.ts';
import { CopyScreen } from '../cli/copy-screen.ts';
import { DOCUMENT_FLAG, hopsOf, JUMP_FLAG, SELECTION_FLAGS, TUNNEL_FLAGS } from '../cli/flags.ts';
import { LOGIN_FLAGS, loginWish, portFlag } from '../cli/login-flags.ts';
import { openPlannedLogin } from '../cli/planned-login.ts';
import { stoppedText } from '../cli/present/copy-lines.ts';
import { closedJson } from '../cli/present/event-json.ts';
import type { EventJson } from '../cli/present/event-schema.ts';
import { printable } from '../cli/present/printable.ts';
import { reportError } from '../cli/report-error.ts';
import { parseDestination } from '../cli/ssh-arguments.ts';
import { loginListener } from '../cli/ssh-screen.ts';
import { type ServedPlan, TunnelCommand, type TunnelResult } from '../cli/tunnel-command.ts';
import { loadCatalogue } from '../config/load.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { App } from '../plan/app.ts';
import { planSsh } from '../plan/tunnel-plan.ts';
import type { CopyOptions, CopyReport } from '../ssh/copy/copy-types.ts';
import type { LoginWish } from '../ssh/open-login.ts';

const { reason, explain } = TUNNEL_FLAGS;

export default class Cp extends TunnelCommand {
  static override summary = 'copy files to a machine, or from one';
  static override description =
    'One side is [USER@]TARGET:PATH, the other is here. A path without / in front starts in the home folder; a local path with a ' +
    'colon begins with ./. A file arrives under another name and is put in its place when it is whole; what an interruption leaves ' +
    'is what --resume goes on with. Links are followed, as by scp. The exit code is 1 when some files could not be copied.';
  static override usage = 'cp SOURCE... DESTINATION [flags]';
  static override examples = [
    '<%= config.bin %> cp ./app.conf web-1:/etc/app/',
    '<%= config.bin %> cp web-1:/var/log/app.log .',
    '<%= config.bin %> cp -r -p ./site admin@i-0abc1234567890def:/srv/',
    '<%= config.bin %> cp tag:role=db:/var/tmp/dump.sql.gz .',
    '<%= config.bin %> cp --resume --checksum web-1:/backup/orders.tar ./orders.tar',
  ];
  static override strict = false;
  static override args = {
    paths: Args.string({
      description: 'files or folders, then where they go; exactly one side is [USER@]TARGET:PATH',
      required: true,
      multiple: true,
      ignoreStdin: true,
    }),
  };
  static override flags = {
    recursive: Flags.boolean({
      char: 'r',
      description: 'folders too, with all that is in them',
      env: 'CLOUDTUN_CP_RECURSIVE',
    }),
    preserve: Flags.boolean({
      char: 'p',
      description: 'keep times and permissions',
      env: 'CLOUDTUN_CP_PRESERVE',
    }),
    resume: Flags.boolean({
      description: 'go on where an earlier copy stopped; what is there is compared first',
      env: 'CLOUDTUN_CP_RESUME',
    }),
    checksum: Flags.boolean({
      description: 'compare the SHA-256 of both sides before a file is put in its place',
      env: 'CLOUDTUN_CP_CHECKSUM',
    }),
    ...SELECTION_FLAGS,
    ...LOGIN_FLAGS,
    port: portFlag('P'),
    ...JUMP_FLAG,
    reason,
    explain,
    ...DOCUMENT_FLAG,
  };
  #copy!: CopyPlan;
  #options!: CopyOptions;
  #wish!: LoginWish;

  async run(): Promise<TunnelResult> {
    const { args, flags } = await this.parse(Cp);
    this.#copy = copyPlan(args.paths, this.world.platform);
    this.#options = {
      isRecursive: flags.recursive,
      preserves: flags.preserve,
      resumes: flags.resume,
      verifies: flags.checksum,
    };
    const { user, target } = parseDestination(this.#copy.machine);
    const plan = planSsh(
      target,
      { ...flags, port: undefined, bind: undefined, via: hopsOf(flags.via) },
      await loadCatalogue(this.world),
      { port: flags.port, use: this.#copy.direction === 'up' ? 'files copied to it' : 'files copied from it' },
    );
    const who = { user: flags.login ?? user ?? plan.user, port: plan.rules[0]!.to!.port };
    this.#wish = loginWish(this.world, flags, who);
    return await this.hold(target, plan, flags);
  }

  protected override async serve(app: App, { plan, planned }: ServedPlan): Promise<EventJson> {
    const { world, terminal, signal } = this;
    using _policy = this.endsByPolicy(plan);
    terminal.progress('connecting ...');
    const on = { login: loginListener(terminal), tunnel: () => {} };
    await using login = await openPlannedLogin(app, planned, this.#wish, on, signal);
    const { copyOver } = await import('../ssh/copy/copy-over.ts');
    const screen = new CopyScreen(world, terminal, this.jsonEnabled());
    const start = world.clock.now();
    const { direction, machine: label, sources, target } = this.#copy;
    const request = { direction, sources, target, label, options: this.#options };
    const report = await copyOver(world, login.connection, request, screen, signal).catch((thrown: unknown) => {
      throw this.#stopped(thrown, screen);
    });
    const duration = world.clock.now() - start;
    screen.ended(report, duration);
    return this.#closed(login.opened, report, duration);
  }

  #closed(
    opened: { ended(report: Parameters<typeof closedJson>[0]): void },
    { copied, there, failed, movedByteCount, failure }: CopyReport,
    duration: number,
  ): EventJson {
    const isUp = this.#copy.direction === 'up';
    const all = copied + there + failed;
    const error =
      failed === 0 || all === 1
        ? failure
        : new CloudtunError('CT_COPY_INCOMPLETE', `${failed} of ${all} files could not be copied`);
    if (error) this.endWith(error.exitCode);
    // A single failure was shown as such.
    if (error && error !== failure && !this.jsonEnabled()) reportError(error, this.terminal, this.world.log.level);
    const report = {
      reason: 'ended' as const,
      duration,
      connections: 1,
      bytesUp: isUp ? movedByteCount : 0,
      bytesDown: isUp ? 0 : movedByteCount,
      ...(error && { error }),
    };
    opened.ended(report);
    return { ...closedJson(report, this.world.clock.wall()), files: { copied, there, failed } };
  }

  /** How far it had come, and how to go on. */
  #stopped(thrown: unknown, { unfinished }: CopyScreen): unknown {
    const command = resumeCommand(this.argv);
    if (!(thrown instanceof CloudtunError)) {
      if (this.signal.aborted && unfinished.length > 0) {
        this.terminal.note(`stopped at ${printable(unfinished.map(stoppedText).join(', '))}`);
        this.terminal.note(`  go on with: ${printable(command)}`);
      }
      return thrown;
    }
    if (thrown.code !== 'CT_TUNNEL_LOST' && thrown.code !== 'CT_SESSION_ENDED') return thrown;
    return new CloudtunError(thrown.code, thrown.message, {
      details: [...thrown.details, ...unfinished.map((file) => ['stopped at', stoppedText(file)] as const)],
      hint: [`go on where it stopped: ${command}`, ...thrown.hints],
      cause: thrown.cause ?? thrown,
    });
  }
}

import { Command, type Interfaces } from '@oclif/core';
import { asCloudtunError, CloudtunError, systemCode } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import type { Prompts } from '../providers/provider.ts';
import { systemClock } from '../runtime/clock.ts';
import { inheritedSockets } from '../runtime/inherited-sockets.ts';
import { isoTime } from '../runtime/iso-time.ts';
import { type Log, streamLog } from '../runtime/log.ts';
import { systemWorld, type World } from '../runtime/world.ts';
import { askMfaCode } from './ask.ts';
import { GLOBAL_FLAGS } from './flags.ts';
import { Interrupted, Interruption } from './interruption.ts';
import { errorDocument, reportError, verbosity, wantsJson, wantsStructuredLog } from './report-error.ts';
import { Terminal } from './terminal.ts';
import { asUsageError } from './usage-error.ts';

/** After a defect: as long as a session may take to be ended. */
const DEFECT_LIMIT: Millis = 5_000;

/**
 * What every command of cloudtun has: a World, a terminal, one AbortSignal, and one way for an error to become text, JSON and an
 * exit code. A command parses, calls a service with `await using`, and presents; what it returns is its `--json` result.
 */
export abstract class BaseCommand extends Command {
  static override enableJsonFlag = true;
  static override baseFlags: Interfaces.FlagInput = GLOBAL_FLAGS;

  protected world!: World;
  protected terminal!: Terminal;
  protected readonly interruption = new Interruption(process, (code) => process.exit(code));

  /** Aborted when the command is to end now; everything that waits takes it. */
  protected get signal(): AbortSignal {
    return this.interruption.signal;
  }

  /** What a person may be asked in the middle of a cloud call; nothing where nobody can answer. */
  protected get prompts(): Prompts {
    if (!this.terminal.canAsk) return {};
    return {
      mfaCode: (device) => {
        this.terminal.settle();
        return askMfaCode(device, this.signal);
      },
    };
  }

  override jsonEnabled(): boolean {
    return wantsJson(this.argv, process.env);
  }

  protected override async init(): Promise<void> {
    await super.init();
    const isQuiet = /^(1|true|y|yes)$/i.test(process.env.CLOUDTUN_QUIET ?? '');
    this.#settle(verbosity(this.argv, process.env), isQuiet, true);
    // oclif's own listener throws what is not EPIPE, past every error report.
    process.stdout.removeAllListeners('error').on('error', this.#onOutputError);
    process.stderr.on('error', ignore);
    process.on('uncaughtException', this.#onDefect);
    process.on('unhandledRejection', this.#onDefect);
  }

  protected override async parse<
    F extends Interfaces.OutputFlags<Interfaces.FlagInput>,
    B extends Interfaces.OutputFlags<Interfaces.FlagInput>,
    A extends Interfaces.OutputArgs<Interfaces.ArgInput>,
  >(options?: Interfaces.Input<F, B, A>, argv?: string[]): Promise<Interfaces.ParserOutput<F, B, A>> {
    const parsed = await super.parse(options, argv);
    const flags: Readonly<Record<string, unknown>> = parsed.flags;
    this.#settle(verbosity(this.argv, process.env), flags.quiet === true, flags['no-input'] !== true);
    return parsed;
  }

  protected override async catch(thrown: unknown): Promise<void> {
    this.terminal.settle();
    const flagNames = Object.keys({ ...this.ctor.baseFlags, ...this.ctor.flags });
    const usage = asUsageError(thrown, this.ctor.id.replaceAll(':', ' '), flagNames);
    const interrupted = this.#interruptedBy(usage);
    if (interrupted !== undefined) {
      process.exitCode = interrupted;
      return;
    }
    const error = asCloudtunError(usage);
    process.exitCode = this.failureCode(error);
    if (this.jsonEnabled()) this.logJson(this.toErrorJson(error));
    else reportError(error, this.terminal, this.world.log.level);
  }

  protected override async finally(): Promise<void> {
    this.terminal.settle();
    this.interruption[Symbol.dispose]();
  }

  protected override toErrorJson(thrown: unknown): object {
    return errorDocument(asCloudtunError(thrown));
  }

  protected override logJson(json: unknown): void {
    this.terminal.result(JSON.stringify(json, undefined, 2));
  }

  /** Ends with the exit code of the signal that ended it, if one did. For a command that ends in order when it is told to. */
  protected endAsTold(): void {
    process.exitCode ??= this.interruption.exitCode;
  }

  /** Ends with this exit code though the command has a result. */
  protected endWith(exitCode: number): void {
    process.exitCode ??= exitCode;
  }

  /** The exit code of a failure of our own. */
  protected failureCode(error: CloudtunError): number {
    return error.exitCode;
  }

  #interruptedBy(thrown: unknown): number | undefined {
    if (thrown instanceof Interrupted) return thrown.exitCode;
    const isConsequence = thrown instanceof CloudtunError && thrown.code === 'CT_INTERRUPTED';
    return isConsequence ? this.interruption.exitCode : undefined;
  }

  #settle(level: number, isQuiet: boolean, mayAsk: boolean): void {
    const { stdout, stderr, stdin, env } = process;
    const isStructured = wantsStructuredLog(this.argv, env);
    const logTime = isStructured && { logTime: () => isoTime(systemClock.wall()) };
    const terminal = new Terminal({ stdout, stderr, stdin, env, isQuiet, mayAsk, ...logTime });
    this.terminal = terminal;
    const plain = streamLog((line) => terminal.complain(line), level, isQuiet);
    const inherited = inheritedSockets(env, process.pid);
    this.world = systemWorld({
      log: isStructured ? structuredLog(plain, terminal, isQuiet) : plain,
      ...(inherited && { inherited }),
    });
  }

  /** A reader that closed the pipe (`| head`) has what it wanted: what is open ends in order, without an error. */
  readonly #onOutputError = (error: Error) => {
    const code = systemCode(error);
    // EIO: the terminal itself was closed.
    if (code === 'EPIPE' || code === 'EIO')
      this.interruption.end(new Interrupted('nobody reads the output any more', 0), 'drain');
    else this.#onDefect(new CloudtunError('CT_OUTPUT', `the output cannot be written (${code})`, { cause: error }));
  };

  /** Never removed: a late failure, after the command is over, must still be shown and counted. */
  readonly #onDefect = (thrown: unknown) => {
    const error = asCloudtunError(thrown);
    process.exitCode = error.exitCode;
    reportError(error, this.terminal, this.world.log.level);
    this.interruption.end(error, 'cut');
    // What the defect has broken may be waited for by the very thing that should end.
    this.world.clock.after(DEFECT_LIMIT, () => process.exit(), { background: true });
  };
}

/** The same lines with their levels. */
function structuredLog({ level }: Log, terminal: Terminal, isQuiet: boolean): Log {
  return {
    level,
    info: (message) => level >= 1 && terminal.log('info', message),
    debug: (message) => level >= 2 && terminal.log('debug', message),
    warn: (message) => !isQuiet && terminal.log('warning', message),
  };
}

function ignore(): void {}

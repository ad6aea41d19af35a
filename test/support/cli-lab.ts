import { join } from 'node:path';
import type { Lab, LabOptions } from '../../src/lab/lab.ts';
import { systemWorld, type World } from '../../src/runtime/world.ts';
import { testLab } from './aws-lab.ts';
import { proxiesOf } from './programs-of-home.ts';
import { type CliOptions, type CliResult, type CliRun, runCli, startCli } from './run-cli.ts';
import { temporaryDirectory } from './temporary-directory.ts';
import { until } from './until.ts';

/** A lab in this process, and the command line of a person who uses it. */
export interface CliLab {
  readonly lab: Lab;
  readonly home: string;
  run(commandLine: readonly string[], options?: Partial<CliOptions>): Promise<CliResult>;
  /** Killed when the test is over, if it still runs. */
  start(commandLine: readonly string[], options?: Partial<CliOptions>): CliRun;
  /** Ids of the sessions that are open in the lab. */
  openSessions(): readonly string[];
  /** How often an action was called, such as `ssm:StartSession`. */
  calls(action: string): number;
  /** The records of the journal. */
  journalPath: string;
}

export async function cliLab(
  test: { after(call: () => Promise<void>): void },
  options: LabOptions = {},
  world: World = systemWorld(),
): Promise<CliLab> {
  const home = await temporaryDirectory(test, (path) => until(() => proxiesOf(path) === 0));
  const lab = await testLab(test, options, world);
  const merged = ({ env, ...rest }: Partial<CliOptions> = {}): CliOptions => ({
    home,
    env: { ...lab.env(), ...env },
    ...rest,
  });
  return {
    lab,
    home,
    run: (commandLine, options) => runCli(commandLine, merged(options)),
    start: (commandLine, options) => {
      const run = startCli(commandLine, merged(options));
      test.after(async () => {
        run.process.kill('SIGKILL');
        await run.ended;
      });
      return run;
    },
    openSessions: () => lab.status().sessions.map((session) => session.sessionId),
    calls: (action) => lab.calls.counts()[action] ?? 0,
    journalPath: join(home, '.local/state/cloudtun/journal'),
  };
}

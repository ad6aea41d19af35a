import { Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base-command.ts';
import { type EnvironmentChange, environmentLines, SHELLS, usualShell } from '../../cli/present/shell-environment.ts';
import { labEnvironment } from '../../lab/lab-daemon.ts';

export default class LabEnv extends BaseCommand {
  static override summary = 'print the variables that make cloudtun, the AWS SDKs and the Google ones use the lab';
  static override examples = [
    'eval "$(<%= config.bin %> lab env)"',
    '<%= config.bin %> lab env --shell fish | source',
    '<%= config.bin %> lab env --json',
  ];
  static override flags = {
    shell: Flags.string({
      description: 'syntax of the lines (default: by $SHELL)',
      env: 'CLOUDTUN_SHELL',
      options: [...SHELLS],
    }),
  };

  async run(): Promise<EnvironmentChange> {
    const { flags } = await this.parse(LabEnv);
    const change = labEnvironment(this.world);
    const shell = SHELLS.find((name) => name === flags.shell) ?? usualShell(this.world.env, this.world.platform);
    if (!this.jsonEnabled()) for (const line of environmentLines(change, shell)) this.terminal.result(line);
    return change;
  }
}

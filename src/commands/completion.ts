import { Args } from '@oclif/core';
import { BaseCommand } from '../cli/base-command.ts';
import { COMPLETED_SHELLS, COMPLETION_PLACES, completionScript } from '../cli/present/completion-script.ts';

export default class Completion extends BaseCommand {
  static override summary = 'print what lets your shell complete commands, flags and the names of targets';
  static override description =
    'Names are those of cloudtun.yaml, and what targets, init and openings found before. No cloud is asked.';
  static override examples = Object.values(COMPLETION_PLACES).map((place) =>
    place.replace('cloudtun', '<%= config.bin %>'),
  );
  static override args = {
    shell: Args.string({
      description: 'shell to complete in (default: yours)',
      options: [...COMPLETED_SHELLS],
      ignoreStdin: true,
    }),
  };

  async run(): Promise<{ readonly shell: string; readonly script: string }> {
    const { args } = await this.parse(Completion);
    const wanted = args.shell ?? this.world.env.SHELL?.split('/').at(-1);
    const shell = COMPLETED_SHELLS.find((each) => each === wanted) ?? 'bash';
    const script = completionScript(shell);
    if (!this.jsonEnabled()) {
      this.terminal.result(script);
      if (this.terminal.isWatched) this.terminal.note(`# ${COMPLETION_PLACES[shell]}`);
    }
    return { shell, script };
  }
}

import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../cli/base-command.ts';
import { SELECTION_FLAGS } from '../cli/flags.ts';
import type { TargetsJson } from '../cli/present/targets-report.ts';
import { composeProvider } from '../compose.ts';
import { loadCatalogue } from '../config/load.ts';
import { tunnelSettings } from '../config/tunnel-settings.ts';

export default class Targets extends BaseCommand {
  static override summary = 'list what can be reached, and why not where not';
  static override examples = [
    '<%= config.bin %> targets',
    '<%= config.bin %> targets orders',
    '<%= config.bin %> targets --kind database --json',
  ];
  static override args = {
    query: Args.string({
      description: 'only names, ids, addresses and tags that contain this text',
      ignoreStdin: true,
    }),
  };
  static override flags = {
    ...SELECTION_FLAGS,
    kind: Flags.string({
      description: 'machines or databases only',
      env: 'CLOUDTUN_KIND',
      options: ['machine', 'database'],
    }),
  };

  async run(): Promise<TargetsJson> {
    const { args, flags } = await this.parse(Targets);
    const catalogue = await loadCatalogue(this.world);
    const { selection } = tunnelSettings(flags, catalogue);
    const { targetsJson, targetsLines } = await import('../cli/present/targets-report.ts');
    await using provider = await composeProvider(this.world, selection, this.prompts);
    this.terminal.progress(`asking ${provider.label} ...`);
    const query = {
      ...(args.query !== undefined && { text: args.query }),
      ...(flags.kind !== undefined && {
        kind: flags.kind === 'machine' ? ('machine' as const) : ('database' as const),
      }),
    };
    const listed = await provider.finder.list(query, this.signal);
    if (!this.jsonEnabled()) {
      for (const line of targetsLines(listed, catalogue, provider)) this.terminal.result(line);
    }
    return targetsJson(listed, catalogue, provider);
  }
}

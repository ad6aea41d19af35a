import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base-command.ts';
import { printable } from '../../cli/present/printable.ts';
import { catalogueFiles, loadCatalogue } from '../../config/load.ts';
import type { SettingOrigin } from '../../config/origin.ts';
import { CloudtunError } from '../../domain/errors.ts';
import { nearestNames } from '../../domain/nearest.ts';

/** What `config show --json` prints. */
interface ShowJson {
  /** The stronger first. */
  readonly files: readonly string[];
  readonly settings: readonly SettingOrigin[];
  /** Targets and groups; absent for one target. */
  readonly names?: readonly SettingOrigin[];
}

export default class ConfigShow extends BaseCommand {
  static override summary = 'show what cloudtun.yaml and the environment say, and where each value comes from';
  static override description =
    'Without a name: what holds for every tunnel, then targets and groups. With one: what holds for that target. A flag beats what is shown here.';
  static override examples = [
    '<%= config.bin %> config show --origin',
    '<%= config.bin %> config show prod --origin',
    '<%= config.bin %> config show prod --json',
  ];
  static override args = { name: Args.string({ description: 'target of cloudtun.yaml', ignoreStdin: true }) };
  static override flags = {
    origin: Flags.boolean({ description: 'say where each value comes from', env: 'CLOUDTUN_ORIGIN' }),
  };

  async run(): Promise<ShowJson> {
    const { args, flags } = await this.parse(ConfigShow);
    const catalogue = await loadCatalogue(this.world);
    const [{ parseCatalogue }, { settingOrigins, nameOrigins }] = await Promise.all([
      import('../../config/parse.ts'),
      import('../../config/origin.ts'),
    ]);
    const files = (await catalogueFiles(this.world)).map(({ path, label, text }) => {
      return { path, parsed: parseCatalogue(text, label) };
    });
    if (args.name !== undefined && !catalogue.targets.has(args.name)) throw noTarget(args.name, catalogue.targets);
    const settings = settingOrigins(files, this.world.env, args.name);
    const names = args.name === undefined ? { names: nameOrigins(catalogue, files) } : {};
    if (!this.jsonEnabled()) {
      const { tableLines } = await import('../../cli/present/table.ts');
      const show = (heading: string, rows: readonly SettingOrigin[]) => {
        if (rows.length === 0) return;
        const columns = flags.origin ? [heading, 'VALUE', 'FROM'] : [heading, 'VALUE'];
        const cells = rows.map(({ key, value, origin }) => (flags.origin ? [key, value, origin] : [key, value]));
        for (const line of tableLines(columns, cells)) this.terminal.result(line);
      };
      show('SETTING', settings);
      if (names.names && names.names.length > 0) this.terminal.result('');
      show('NAME', names.names ?? []);
      if (files.length === 0) this.terminal.note('there is no cloudtun.yaml here or above; cloudtun init writes one');
      else this.terminal.note(printable(`read: ${files.map(({ path }) => path).join(', ')}`));
    }
    return { files: files.map(({ path }) => path), settings, ...names };
  }
}

function noTarget(name: string, targets: ReadonlyMap<string, unknown>): CloudtunError {
  const near = nearestNames(name, [...targets.keys()], 3);
  return new CloudtunError('CT_TARGET_NOT_FOUND', `cloudtun.yaml has no target "${name}"`, {
    hint: [...(near.length > 0 ? [`did you mean: ${near.join(', ')}`] : []), 'see all: cloudtun config show'],
  });
}

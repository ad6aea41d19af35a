import { join } from 'node:path';
import { Args, Flags } from '@oclif/core';
import { CatalogueWriter } from '../../cli/catalogue-writer.ts';
import { printable } from '../../cli/present/printable.ts';
import { catalogueFiles, loadCatalogue, PROJECT_FILE } from '../../config/load.ts';
import type { ProposedTarget } from '../../config/propose-targets.ts';

/** What `config import --json` prints. */
interface ImportJson {
  readonly file: string;
  readonly isWritten: boolean;
  readonly targets: readonly ProposedTarget[];
  readonly defaults: Readonly<Record<string, string>>;
  readonly leftOut: readonly { readonly name: string; readonly reason: string; readonly path: string }[];
}

export default class ConfigImport extends CatalogueWriter {
  static override summary = 'take over what other programs know: Basti, ssh, AWS and gcloud configurations';
  static override description =
    'Without files: .basti.yaml here or above, ~/.ssh/config, ~/.aws/config, and the configurations of gcloud. ' +
    'Says what each entry became, or why it was left out, and asks before it writes. What cloudtun.yaml has stays as it is.';
  static override examples = [
    '<%= config.bin %> config import --dry-run',
    '<%= config.bin %> config import .basti.yaml',
    '<%= config.bin %> config import ~/.ssh/config --yes',
  ];
  static override args = { files: Args.string({ description: 'files to read', multiple: true, ignoreStdin: true }) };
  static override flags = {
    'dry-run': Flags.boolean({ description: 'show the file, write nothing', env: 'CLOUDTUN_DRY_RUN' }),
    yes: Flags.boolean({ char: 'y', description: 'write without asking', env: 'CLOUDTUN_YES' }),
  };

  async run(): Promise<ImportJson> {
    const { args, flags } = await this.parse(ConfigImport);
    const [{ importFiles }, { withTargets }, { targetProblem }] = await Promise.all([
      import('../../config/import/import-files.ts'),
      import('../../config/write-catalogue.ts'),
      import('../../config/target-problem.ts'),
    ]);
    const imported = await importFiles(this.world, args.files ?? []);
    const catalogue = await loadCatalogue(this.world);
    const project = (await catalogueFiles(this.world)).find(({ path }) => path.endsWith(PROJECT_FILE));
    const file = project?.path ?? join(this.world.cwd, PROJECT_FILE);
    const targets = new Map<string, ProposedTarget>();
    const leftOut: ImportJson['leftOut'][number][] = [];
    const defaults: Record<string, string> = {};
    for (const { path, ...said } of imported) {
      for (const target of said.targets) {
        const { name } = target;
        const isTaken = catalogue.targets.has(name) || catalogue.groups.has(name) || targets.has(name);
        const reason = isTaken ? 'the name is taken' : targetProblem(target);
        if (reason !== undefined) leftOut.push({ name, reason, path });
        else targets.set(name, { ...target, comment: `from ${path.slice(path.lastIndexOf('/') + 1)}` });
      }
      for (const [key, value] of Object.entries(said.defaults)) {
        if (!(key in catalogue.defaults)) defaults[key] ??= value;
      }
      leftOut.push(...said.leftOut.map((each) => ({ ...each, path })));
    }
    for (const { name, reason, path } of leftOut)
      this.terminal.note(printable(`left out: ${name} of ${path}: ${reason}`));
    const count = targets.size + Object.keys(defaults).length;
    const text = withTargets(project?.text, [...targets.values()], defaults);
    if (imported.length === 0) this.terminal.note('no configuration of another program was found');
    else if (count === 0) this.terminal.note('nothing was found that the catalogue lacks');
    else if (flags['dry-run'] && !this.jsonEnabled()) this.terminal.result(text.trimEnd());
    const isWritten = count > 0 && !flags['dry-run'] && (await this.agreesTo(text, flags.yes));
    if (isWritten) await this.writeFile(file, text, targets.size);
    return { file, isWritten, targets: [...targets.values()], defaults, leftOut };
  }
}

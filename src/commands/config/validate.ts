import { resolve } from 'node:path';
import { Args } from '@oclif/core';
import { BaseCommand } from '../../cli/base-command.ts';
import { errorJson } from '../../cli/present/error-json.ts';
import { printable } from '../../cli/present/printable.ts';
import { plural } from '../../cli/present/tunnel-lines.ts';
import { catalogueFiles, readText } from '../../config/load.ts';
import { CloudtunError } from '../../domain/errors.ts';

/** What `config validate --json` prints. */
interface ValidateJson {
  readonly isValid: boolean;
  readonly files: readonly string[];
  readonly problems: readonly {
    readonly message: string;
    readonly file?: string;
    readonly line?: number;
    readonly column?: number;
    readonly hints: readonly string[];
  }[];
}

export default class ConfigValidate extends BaseCommand {
  static override summary = 'check cloudtun.yaml: every problem with its place, and what was meant';
  static override description =
    'Without a file: the one of this project and the one of this user, together. Ends with 2 when something is wrong.';
  static override examples = [
    '<%= config.bin %> config validate',
    '<%= config.bin %> config validate team/cloudtun.yaml',
  ];
  static override args = { file: Args.string({ description: 'one file by itself', ignoreStdin: true }) };

  async run(): Promise<ValidateJson> {
    const { args } = await this.parse(ConfigValidate);
    const files = args.file === undefined ? await catalogueFiles(this.world) : [await this.#named(args.file)];
    const { checkFiles } = await import('../../config/check-files.ts');
    const { problems, catalogue } = checkFiles(files);
    if (!this.jsonEnabled()) {
      for (const problem of problems) this.#show(problem);
      const names = files.map(({ label }) => label).join(', ');
      if (files.length === 0) this.terminal.note('there is no cloudtun.yaml here or above; cloudtun init writes one');
      else if (catalogue) this.terminal.result(printable(`${names}: ok, ${plural(catalogue.targets.size, 'target')}`));
      else this.terminal.complain(`${plural(problems.length, 'problem')} in ${printable(names)}`);
    }
    if (problems.length > 0) this.endWith(new CloudtunError('CT_CONFIG', '').exitCode);
    return {
      isValid: problems.length === 0,
      files: files.map(({ path }) => path),
      problems: problems.map((problem) => {
        if (problem instanceof CloudtunError) {
          const { message, hints } = errorJson(problem);
          return { message, hints };
        }
        const { message, hint, place } = problem;
        return { message, ...place, hints: hint === undefined ? [] : [hint] };
      }),
    };
  }

  async #named(file: string) {
    const found = await readText(resolve(this.world.cwd, file), this.world.cwd);
    if (found) return found;
    throw new CloudtunError('CT_CONFIG', `${file} does not exist`);
  }

  #show(problem: { readonly message: string } & Partial<Pick<CloudtunError, 'hints' | 'details'>>): void {
    const { place, hint } = problem as { place?: { file: string; line: number; column: number }; hint?: string };
    const where = place === undefined ? '' : `${place.file}:${place.line}:${place.column}: `;
    this.terminal.result(printable(`${where}${problem.message}`));
    for (const [label, text] of problem.details ?? []) this.terminal.result(printable(`  ${label}  ${text}`));
    for (const each of problem.hints ?? (hint === undefined ? [] : [hint]))
      this.terminal.result(printable(`  ${each}`));
  }
}

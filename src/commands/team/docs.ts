import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Flags } from '@oclif/core';
import { printable } from '../../cli/present/printable.ts';
import { TeamCommand } from '../../cli/team-command.ts';
import { cloudLabels } from '../../compose.ts';
import { CloudtunError, systemCode } from '../../domain/errors.ts';

/** What `team docs --json` prints. */
interface TeamDocsJson {
  readonly markdown: string;
  readonly writtenTo?: string;
}

export default class TeamDocs extends TeamCommand {
  static override summary = "a page for the team's wiki: who may reach what, what to type, whom to ask";
  static override description =
    'Markdown with a Mermaid diagram, from cloudtun.yaml alone; no cloud is asked. The same file gives the same page, so that CI can ' +
    'tell whether it is up to date.';
  static override examples = [
    '<%= config.bin %> team docs',
    '<%= config.bin %> team docs --out wiki/access.md',
    '<%= config.bin %> team docs --out wiki/access.md && git diff --exit-code wiki/access.md   # in CI',
  ];
  static override flags = {
    out: Flags.string({ description: 'the file to write to', env: 'CLOUDTUN_OUT', helpValue: 'FILE' }),
  };

  async run(): Promise<TeamDocsJson> {
    const { flags } = await this.parse(TeamDocs);
    const { catalogue } = await this.question({});
    const { PAGE_MARK, teamPage } = await import('../../cli/present/team-page.ts');
    const markdown = teamPage(catalogue, await cloudLabels());
    if (flags.out === undefined) {
      if (!this.jsonEnabled()) for (const line of markdown.trimEnd().split('\n')) this.terminal.result(line);
      return { markdown };
    }
    const path = resolve(this.world.cwd, flags.out);
    await this.#write(path, flags.out, markdown, PAGE_MARK);
    if (!this.jsonEnabled()) this.terminal.result(printable(`wrote ${flags.out}`));
    return { markdown, writtenTo: path };
  }

  /** Over a page of ours, and over nothing else. @throws CT_USAGE, CT_FILE_FAILED */
  async #write(path: string, name: string, markdown: string, mark: string): Promise<void> {
    try {
      const before = await readFile(path, 'utf8').catch((failure: unknown) => {
        if (systemCode(failure) === 'ENOENT') return undefined;
        throw failure;
      });
      if (before !== undefined && before !== '' && !before.startsWith(mark)) {
        throw new CloudtunError('CT_USAGE', `${name} is there and was not made by cloudtun team docs`, {
          hint: 'name another file, or remove this one',
        });
      }
      await writeFile(path, markdown);
    } catch (failure) {
      if (failure instanceof CloudtunError) throw failure;
      const code = systemCode(failure);
      throw new CloudtunError('CT_FILE_FAILED', `${name} cannot be written (${code ?? 'unknown reason'})`, {
        cause: failure,
      });
    }
  }
}

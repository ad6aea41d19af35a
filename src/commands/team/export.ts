import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Flags } from '@oclif/core';
import { CLOUD_FLAG, SELECTION_FLAGS } from '../../cli/flags.ts';
import { printable } from '../../cli/present/printable.ts';
import { plural } from '../../cli/present/tunnel-lines.ts';
import { TeamCommand } from '../../cli/team-command.ts';
import { policyOf } from '../../compose.ts';
import type { ExportFile } from '../../providers/policy-author.ts';

/** What `team export --json` prints. */
interface TeamExportJson {
  readonly files: readonly ExportFile[];
  readonly writtenTo?: string;
}

export default class TeamExport extends TeamCommand {
  static override summary = 'the permissions of team plan as files: JSON for review, or Terraform';
  static override description =
    'Whoever keeps permissions in Terraform applies these files there instead of team apply. With --offline no cloud is asked: account ' +
    'numbers, endpoints and ids are stand-ins then, and the files are for reading.';
  static override examples = [
    '<%= config.bin %> team export --format terraform --out infra/cloudtun',
    '<%= config.bin %> team export --format json --offline',
  ];
  static override flags = {
    ...SELECTION_FLAGS,
    ...CLOUD_FLAG,
    format: Flags.string({
      description: 'json or terraform (default json)',
      env: 'CLOUDTUN_FORMAT',
      options: ['json', 'terraform'],
    }),
    out: Flags.string({ description: 'the directory to write to', env: 'CLOUDTUN_OUT', helpValue: 'DIR' }),
    offline: Flags.boolean({ description: 'ask no cloud; stand-ins for what it would say', env: 'CLOUDTUN_OFFLINE' }),
  };

  async run(): Promise<TeamExportJson> {
    await using _ = this.providers;
    const { flags } = await this.parse(TeamExport);
    const format = flags.format === 'terraform' ? 'terraform' : 'json';
    const question = await this.question(flags);
    const drafted = flags.offline ? await this.#draft(question) : await this.plan(question);
    for (const { team, text } of drafted.problems) this.terminal.complain(printable(`${team}: ${text}`));
    const parts = drafted.parts.filter(({ grants }) => grants.length > 0);
    const files = parts.flatMap((part) => {
      const drafter = 'author' in part ? part.author.drafter : part.drafter;
      const folder = parts.length > 1 ? `${part.cloud}-${part.draft.scope}/` : '';
      return drafter.files(part.draft, format).map(({ path, text }) => ({ path: `${folder}${path}`, text }));
    });
    if (flags.out !== undefined) {
      const folder = resolve(this.world.cwd, flags.out);
      for (const { path, text } of files) {
        await mkdir(dirname(join(folder, path)), { recursive: true });
        await writeFile(join(folder, path), text);
        if (!this.jsonEnabled()) this.terminal.result(printable(join(flags.out, path)));
      }
      this.terminal.note(`wrote ${plural(files.length, 'file')}; what was there under other names was left alone`);
      return { files, writtenTo: folder };
    }
    if (!this.jsonEnabled()) {
      for (const { path, text } of files) {
        this.terminal.note(printable(`== ${path}`));
        for (const line of text.trimEnd().split('\n')) this.terminal.result(printable(line));
      }
    }
    return { files };
  }

  async #draft(question: Awaited<ReturnType<TeamExport['question']>>) {
    const { draftTeams } = await import('../../onboarding/team-plan.ts');
    return draftTeams(question, await this.policyKeys(), async (cloud) => (await policyOf(cloud))!.drafter());
  }
}

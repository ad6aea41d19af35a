import { Flags } from '@oclif/core';
import { CLOUD_FLAG, SELECTION_FLAGS } from '../../cli/flags.ts';
import { TeamApplyCommand, type TeamApplyJson } from '../../cli/team-apply.ts';

export default class TeamApply extends TeamApplyCommand {
  static override summary = 'make the clouds hold what team plan shows, after asking';
  static override description =
    'Shows the plan, asks, looks again, and does exactly what was shown, or nothing when the clouds have changed meanwhile. Safe to ' +
    'interrupt and to run again: what is done stays, and the next run does the rest.';
  static override examples = [
    '<%= config.bin %> team apply --profile admin',
    '<%= config.bin %> team apply --yes --expect 0f3a9c1e5b7d2468   # in CI: the plan that was reviewed, or nothing',
  ];
  static override flags = {
    ...SELECTION_FLAGS,
    ...CLOUD_FLAG,
    yes: Flags.boolean({ char: 'y', description: 'apply without asking', env: 'CLOUDTUN_YES' }),
    expect: Flags.string({
      description: 'the fingerprint of the plan that was reviewed (team plan --json)',
      env: 'CLOUDTUN_EXPECT',
      helpValue: 'HEX',
    }),
  };

  async run(): Promise<TeamApplyJson> {
    await using _ = this.providers;
    const { flags } = await this.parse(TeamApply);
    const question = await this.question(flags);
    return this.applyTeams(question, flags);
  }
}

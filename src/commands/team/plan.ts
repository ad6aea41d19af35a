import { Flags } from '@oclif/core';
import { CLOUD_FLAG, SELECTION_FLAGS } from '../../cli/flags.ts';
import type { TeamPlanJson } from '../../cli/present/team-plan-report.ts';
import { TeamCommand } from '../../cli/team-command.ts';

export default class TeamPlan extends TeamCommand {
  static override summary = 'show what the clouds would have to hold so that the teams may do what cloudtun.yaml says';
  static override description =
    'Reads the clouds and changes nothing: + is missing, ~ is there and otherwise, - is there and not wanted any more, ! has a name of ' +
    'ours and was made by somebody else. Only what was made for this catalogue is ever changed or removed.';
  static override examples = [
    '<%= config.bin %> team plan',
    '<%= config.bin %> team plan --profile admin',
    '<%= config.bin %> team plan --exit-code   # in CI: 1 when something is to be done',
  ];
  static override flags = {
    ...SELECTION_FLAGS,
    ...CLOUD_FLAG,
    'exit-code': Flags.boolean({
      description: 'end with 1 when something is to be done',
      env: 'CLOUDTUN_EXIT_CODE',
    }),
  };

  async run(): Promise<TeamPlanJson> {
    await using _ = this.providers;
    const { flags } = await this.parse(TeamPlan);
    const plan = await this.plan(await this.question(flags));
    const { teamPlanJson, teamPlanLines } = await import('../../cli/present/team-plan-report.ts');
    const isPending = plan.parts.some(({ changes, conflicts }) => changes.length + conflicts.length > 0);
    if (!this.jsonEnabled()) {
      for (const line of teamPlanLines(plan)) this.terminal.result(line);
      this.terminal.note(isPending ? 'nothing done yet: cloudtun team apply' : 'everything is as it should be');
    }
    if (isPending && flags['exit-code']) this.endWith(1);
    return teamPlanJson(plan);
  }
}

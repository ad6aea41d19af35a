import { BaseCommand } from '../../cli/base-command.ts';
import { labStatus } from '../../lab/lab-daemon.ts';

export default class LabStatus extends BaseCommand {
  static override summary = 'show what is open in the lab, in both clouds, and who opened it';
  static override examples = ['<%= config.bin %> lab status', '<%= config.bin %> lab status --json'];

  async run(): Promise<object> {
    await this.parse(LabStatus);
    const report = await labStatus(this.world);
    if (!report.running) {
      if (!this.jsonEnabled()) this.terminal.result('no lab is running; start it with: cloudtun lab up');
      return report;
    }
    const { labStatusLines } = await import('../../cli/present/lab-report.ts');
    if (!this.jsonEnabled()) for (const line of labStatusLines(report.status)) this.terminal.result(line);
    return { running: true, ...report.status };
  }
}

import { BaseCommand } from '../../cli/base-command.ts';
import { stopLab } from '../../lab/lab-daemon.ts';

export default class LabDown extends BaseCommand {
  static override summary = 'end the embedded clouds';
  static override examples = ['<%= config.bin %> lab down'];

  async run(): Promise<{ readonly stopped: boolean }> {
    await this.parse(LabDown);
    this.terminal.progress('ending the lab ...');
    const stopped = await stopLab(this.world);
    if (!this.jsonEnabled()) {
      this.terminal.result(
        stopped ? `lab down (was ${stopped.url}, pid ${stopped.process.pid})` : 'no lab was running',
      );
    }
    return { stopped: stopped !== undefined };
  }
}

import { Args } from '@oclif/core';
import { BaseCommand } from '../cli/base-command.ts';
import { notHeld } from '../cli/not-held.ts';
import { heldDetails, heldJson } from '../cli/present/held-lines.ts';
import { listHeld } from '../supervisor/control-client.ts';

export default class Status extends BaseCommand {
  static override summary = 'show everything that is known of a tunnel that is held in the background';
  static override examples = ['<%= config.bin %> status prod', '<%= config.bin %> status prod --json'];
  static override args = {
    name: Args.string({ description: 'as ps shows it', required: true, ignoreStdin: true }),
  };

  async run(): Promise<ReturnType<typeof heldJson>> {
    const { args } = await this.parse(Status);
    const held = await listHeld(this.world);
    const tunnel = held?.tunnels.find(({ name }) => name === args.name);
    if (tunnel === undefined) throw notHeld(this.world, args.name, held?.tunnels);
    if (!this.jsonEnabled()) {
      for (const line of heldDetails(tunnel, this.world.clock.wall())) this.terminal.result(line);
    }
    return heldJson(tunnel);
  }
}

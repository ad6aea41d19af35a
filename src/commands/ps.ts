import { BaseCommand } from '../cli/base-command.ts';
import { goneLines } from '../cli/present/gone-lines.ts';
import { heldJson } from '../cli/present/held-lines.ts';
import { isoTime } from '../runtime/iso-time.ts';
import { listHeld } from '../supervisor/control-client.ts';
import { supervisorPaths } from '../supervisor/paths.ts';
import { leftBehind } from '../supervisor/state-record.ts';

/** What `ps --json` prints. */
interface PsJson {
  /** Null: none runs. */
  readonly supervisor: { readonly pid: number; readonly startedAt: string } | null;
  readonly tunnels: readonly ReturnType<typeof heldJson>[];
  /** Held by a supervisor that was killed. */
  readonly lost: readonly string[];
}

export default class Ps extends BaseCommand {
  static override summary = 'show the tunnels that are held in the background';
  static override description =
    'What `cloudtun up` holds: where it listens, where it leads, what goes through, and how it is.';
  static override examples = ['<%= config.bin %> ps', '<%= config.bin %> ps --json'];

  async run(): Promise<PsJson> {
    await this.parse(Ps);
    const held = await listHeld(this.world);
    const left = held === undefined ? leftBehind(supervisorPaths(this.world).state) : undefined;
    if (!this.jsonEnabled()) {
      const tunnels = held?.tunnels ?? [];
      if (tunnels.length > 0) {
        const { heldTable } = await import('../cli/present/held-table.ts');
        for (const line of heldTable(tunnels, this.world.clock.wall())) this.terminal.result(line);
      } else if (left === undefined) this.terminal.note('nothing is held; bring a tunnel up with: cloudtun up NAME');
      for (const line of left === undefined ? [] : goneLines(left)) this.terminal.note(line);
    }
    return {
      supervisor: held === undefined ? null : { pid: held.pid, startedAt: isoTime(held.startedAt) },
      tunnels: (held?.tunnels ?? []).map(heldJson),
      lost: left?.names ?? [],
    };
  }
}

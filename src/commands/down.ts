import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../cli/base-command.ts';
import { notHeld } from '../cli/not-held.ts';
import { goneLines } from '../cli/present/gone-lines.ts';
import { closedLine } from '../cli/present/tunnel-lines.ts';
import { reportError } from '../cli/report-error.ts';
import { loadCatalogue } from '../config/load.ts';
import { expandGroups } from '../plan/named-plan.ts';
import { isPortFree } from '../runtime/port-free.ts';
import { connectSupervisor } from '../supervisor/control-client.ts';
import { supervisorPaths } from '../supervisor/paths.ts';
import type { Reply } from '../supervisor/protocol.ts';
import { leftBehind } from '../supervisor/state-record.ts';

/** What `down --json` prints: a line for each tunnel. */
interface DownJson {
  readonly name: string;
  readonly reason: string;
  readonly connections: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Whether its local addresses are free now. */
  readonly isFree: boolean;
}

export default class Down extends BaseCommand {
  static override summary = 'close tunnels that are held in the background';
  static override description =
    'Stops accepting, lets open connections end (--cut does not), closes, and makes sure that the ports are free and the cloud sessions ended. ' +
    'Without a name: every tunnel; the supervisor ends soon after the last one.';
  static override examples = [
    '<%= config.bin %> down prod',
    '<%= config.bin %> down',
    '<%= config.bin %> down dev --cut',
  ];
  static override args = {
    names: Args.string({ description: 'tunnels or groups of cloudtun.yaml', multiple: true, ignoreStdin: true }),
  };
  static override flags = {
    cut: Flags.boolean({ description: 'do not wait for open connections', env: 'CLOUDTUN_CUT' }),
  };

  async run(): Promise<readonly DownJson[]> {
    const { args, flags } = await this.parse(Down);
    const given = args.names ?? [];
    using supervisor = await connectSupervisor(this.world);
    if (supervisor === undefined) {
      if (given.length > 0) throw notHeld(this.world, given[0]!);
      this.terminal.note('nothing is held');
      const left = leftBehind(supervisorPaths(this.world).state);
      for (const line of left === undefined ? [] : goneLines(left)) this.terminal.note(line);
      return [];
    }
    const names = given.length === 0 ? [] : expandGroups(given, await loadCatalogue(this.world));
    this.terminal.progress('draining ...');
    const closed: DownJson[] = [];
    for await (const reply of supervisor.ask({ do: 'down', names, ...(flags.cut && { cut: true }) })) {
      if (reply.say === 'closed') closed.push(await this.#closed(reply));
      if (reply.say === 'warning') this.world.log.warn(reply.message);
      if (reply.say === 'failed') {
        this.endWith(reply.error.exitCode);
        reportError(reply.error, this.terminal, this.world.log.level);
      }
    }
    if (closed.length === 0 && names.length === 0) this.terminal.note('nothing is held');
    return closed;
  }

  async #closed({ name, report, local }: Extract<Reply, { say: 'closed' }>): Promise<DownJson> {
    const free = await Promise.all(local.map(isPortFree));
    const isFree = free.every((each) => each);
    if (!this.jsonEnabled()) {
      const where = local.length === 0 ? '' : `; ${local[0]} is ${isFree ? 'free' : 'in use by another process'}`;
      this.terminal.result(`${name} ${closedLine(report)}${where}`);
    }
    const { reason, connections, bytesUp, bytesDown } = report;
    return { name, reason, connections, bytesUp, bytesDown, isFree };
  }
}

import { StartLimiter } from '../broker/start-limiter.ts';
import { BaseCommand } from '../cli/base-command.ts';
import { orphanNote } from '../cli/present/orphan-note.ts';
import { composeApp, farPortOf } from '../compose.ts';
import { rotatingLog } from '../runtime/rotating-log.ts';
import { runSupervisor } from '../supervisor/daemon.ts';
import { supervisorPaths } from '../supervisor/paths.ts';
import { RecentWarnings } from '../supervisor/recent-warnings.ts';

/** What `up` starts in the background. */
export default class Supervisor extends BaseCommand {
  static override hidden = true;
  static override summary = 'hold tunnels for other commands until nothing is held (started by up)';

  async run(): Promise<void> {
    await this.parse(Supervisor);
    const warnings = new RecentWarnings();
    const { log } = supervisorPaths(this.world);
    const { clock } = this.world;
    const world = { ...this.world, log: warnings.of(rotatingLog(log, this.world.log.level, () => clock.wall())) };
    // Whoever started it may close the terminal; it has none.
    this.interruption.reloadOnHangup(() => {});
    const starts = new StartLimiter(world);
    const draining = new AbortController();
    // The first signal drains everything, and the process ends after the last tunnel.
    using _draining = this.interruption.drainFirst({ drain: () => draining.abort(), cut: () => draining.abort() });
    const { signal } = draining;
    await runSupervisor({
      world,
      // Nobody is there to be asked.
      openApp: (asked, question) => composeApp(asked, question, {}, undefined, starts),
      farPortOf,
      orphanNote,
      warnings,
      signal,
    });
  }
}

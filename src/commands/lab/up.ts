import { Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base-command.ts';
import { usualShell } from '../../cli/present/shell-environment.ts';
import { LAB_USERS } from '../../lab/databases/users.ts';
import type { Lab } from '../../lab/lab.ts';
import { askLab } from '../../lab/lab-client.ts';
import { runLab, spawnLab } from '../../lab/lab-daemon.ts';
import type { LabState } from '../../lab/lab-state.ts';

/** What `lab up --json` prints. */
interface LabUpJson {
  readonly url: string;
  readonly pid: number;
  readonly startedAt: string;
  /** False when one was running before. */
  readonly started: boolean;
}

/** `POST /_lab/iam` */
const ENFORCED = { aws: { enforce: true }, gcp: { enforce: true } };

function enforceIn(lab: Lab): void {
  lab.iam.set(ENFORCED.aws);
  lab.gcp.iam.enforce = ENFORCED.gcp.enforce;
}

export default class LabUp extends BaseCommand {
  static override summary =
    'start the embedded clouds: the protocols of AWS and Google Cloud on loopback, with machines and databases';
  static override examples = [
    '<%= config.bin %> lab up',
    '<%= config.bin %> lab up --foreground',
    {
      description: 'To try grants: nobody but the administrator may do anything at first.',
      command: '<%= config.bin %> lab up --enforce',
    },
    { description: 'Then, in the same shell:', command: 'eval "$(<%= config.bin %> lab env)"' },
  ];
  static override flags = {
    foreground: Flags.boolean({
      description: 'stay in this process until Ctrl-C or lab down',
      env: 'CLOUDTUN_FOREGROUND',
    }),
    enforce: Flags.boolean({
      description: 'IAM policies and bindings decide, and only the administrator (profile admin) has any at first',
      env: 'CLOUDTUN_ENFORCE',
    }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(LabUp);
    if (flags.foreground) {
      const onReady = (lab: Lab, state: LabState) => {
        if (flags.enforce) enforceIn(lab);
        this.#announce(state, true, flags.enforce);
      };
      await runLab(this.world, { signal: this.signal, onReady });
      this.endAsTold();
      return;
    }
    this.terminal.progress('starting the lab ...');
    const { state, already } = await spawnLab(this.world);
    if (flags.enforce) await askLab(this.world, state, 'POST', '/_lab/iam', ENFORCED);
    this.#announce(state, !already, flags.enforce);
  }

  #announce(state: LabState, isNew: boolean, isEnforced: boolean): void {
    const { url, startedAt, process: owner } = state;
    if (this.jsonEnabled()) {
      const document: LabUpJson = { url, pid: owner.pid, startedAt, started: isNew };
      this.logJson(document);
      return;
    }
    this.terminal.result(`lab ${isNew ? 'up' : 'was up'} on ${url} (pid ${owner.pid})`);
    if (isEnforced) {
      this.terminal.note('  permissions decide: until somebody is granted more, only --profile admin may do anything');
    }
    const isFish = usualShell(this.world.env, this.world.platform) === 'fish';
    const [user] = LAB_USERS;
    this.terminal.note(isFish ? '  cloudtun lab env | source' : '  eval "$(cloudtun lab env)"');
    this.terminal.note(`  cloudtun rds prod --port 13306     (MySQL: ${user?.user}, password ${user?.password})`);
    this.terminal.note('  cloudtun sql reports --port 15432  (PostgreSQL on Google Cloud, the same login)');
  }
}

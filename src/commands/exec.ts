import { Args } from '@oclif/core';
import { ExecCommand } from '../cli/exec-command.ts';
import { EXEC_FLAGS } from '../cli/exec-flags.ts';
import { hopsOf, listOf } from '../cli/flags.ts';
import type { TunnelResult } from '../cli/tunnel-command.ts';
import { loadCatalogue } from '../config/load.ts';
import { CloudtunError } from '../domain/errors.ts';

export default class Exec extends ExecCommand {
  static override summary = 'open databases, run a command, close them again';
  static override description =
    'Opens each name, waits until its far side answers, and runs the command with CLOUDTUN_NAME_HOST, _PORT, _URL, _USER, _DB, option ' +
    'files for the usual clients (_CNF, _PGPASSFILE) and, where there is one database of its kind, the variables of its own clients. ' +
    'Signals are passed on, the exit code is the one of the command, and whatever happens the tunnels are closed and the files ' +
    'removed. What exec itself says is on stderr; when it fails before the command runs, it ends with 125.';
  static override examples = [
    `<%= config.bin %> exec prod -- sh -c 'mysqldump --defaults-extra-file="$CLOUDTUN_PROD_CNF" shop > shop.sql'`,
    '<%= config.bin %> exec orders -- pg_dump --file orders.sql',
    `<%= config.bin %> exec prod orders --retries 5 --connect-timeout 1m -- ./nightly`,
    `<%= config.bin %> exec orders -- sh -c 'psql "$CLOUDTUN_ORDERS_URL" -c "select 1"'`,
  ];
  static override usage = 'exec NAMES... [flags] -- COMMAND [ARGUMENTS...]';
  static override strict = false;
  static override args = {
    names: Args.string({
      description: 'names or groups of cloudtun.yaml, rds:NAME, sql:NAME, or MACHINE:PORT',
      required: true,
      multiple: true,
      ignoreStdin: true,
    }),
  };
  static override flags = EXEC_FLAGS;

  override async init(): Promise<void> {
    this.speakForCommand();
    this.separateWords();
    await super.init();
  }

  async run(): Promise<TunnelResult> {
    const { args, flags } = await this.parse(Exec);
    const planned = { ...flags, bind: listOf(flags.bind), via: hopsOf(flags.via) };
    const wanted = await this.plansOf(listOf(args.names) ?? [], planned, await loadCatalogue(this.world));
    if (flags.explain) {
      this.speakForCommand(false);
      const explained = [];
      for (const { name, plan } of wanted) explained.push(await this.hold(name, plan, flags));
      return explained.flat() as TunnelResult;
    }
    const command = this.words ?? [];
    if (command.length === 0) {
      throw new CloudtunError('CT_USAGE', 'there is no command to run', {
        hint: `write it behind --, for example: cloudtun exec ${args.names} -- env`,
      });
    }
    await this.runCommand(wanted, planned, () => command);
    return [];
  }
}

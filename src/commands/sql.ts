import { Args, Flags } from '@oclif/core';
import { ExecCommand } from '../cli/exec-command.ts';
import { USE_FLAGS } from '../cli/exec-flags.ts';
import { GCP_FLAGS, hopsOf, listOf, MONITOR_FLAGS, TUNNEL_FLAGS, VIA_FLAG } from '../cli/flags.ts';
import type { TunnelResult } from '../cli/tunnel-command.ts';
import { loadCatalogue } from '../config/load.ts';
import { planDatabase } from '../plan/tunnel-plan.ts';

export default class Sql extends ExecCommand {
  static override summary = 'open a private Cloud SQL database on a local port';
  static override description =
    'Finds the instance and a way to its private address, through a destination group or a machine that ' +
    'Identity-Aware Proxy reaches, and opens a local port. ' +
    'There is no --document: Identity-Aware Proxy has no Session documents. ' +
    'Ctrl-C drains open connections and closes; a second Ctrl-C closes at once.';
  static override examples = [
    '<%= config.bin %> sql reports --port 15432',
    '<%= config.bin %> sql acme:asia-northeast1:reports --reason "INC-1234: slow orders"',
    '<%= config.bin %> sql reports --via @asia-northeast1/default/private-sql --ttl 1h',
    '<%= config.bin %> sql reports --client',
    '<%= config.bin %> sql reports --print url',
    '<%= config.bin %> sql reports --explain',
  ];
  static override args = {
    name: Args.string({
      description: 'database: its name, project:region:name, or name in cloudtun.yaml',
      required: true,
      ignoreStdin: true,
    }),
  };
  static override flags = {
    ...GCP_FLAGS,
    ...TUNNEL_FLAGS,
    ...MONITOR_FLAGS,
    port: Flags.string({
      description: 'local port, or auto for any free one (default: the same one every day)',
      env: 'CLOUDTUN_PORT',
      helpValue: 'PORT',
    }),
    ...VIA_FLAG,
    ...USE_FLAGS,
  };

  override async init(): Promise<void> {
    this.separateWords();
    await super.init();
  }

  async run(): Promise<TunnelResult> {
    const { args, flags } = await this.parse(Sql);
    const catalogue = await loadCatalogue(this.world);
    const plan = planDatabase(
      'sql',
      args.name,
      { ...flags, bind: listOf(flags.bind), via: hopsOf(flags.via) },
      catalogue,
    );
    return await this.useOrHold(args.name, plan, catalogue, flags);
  }
}

import { Args, Flags } from '@oclif/core';
import { ExecCommand } from '../cli/exec-command.ts';
import { USE_FLAGS } from '../cli/exec-flags.ts';
import { AWS_FLAGS, DOCUMENT_FLAG, hopsOf, listOf, MONITOR_FLAGS, TUNNEL_FLAGS, VIA_FLAG } from '../cli/flags.ts';
import type { TunnelResult } from '../cli/tunnel-command.ts';
import { loadCatalogue } from '../config/load.ts';
import { planDatabase } from '../plan/tunnel-plan.ts';

export default class Rds extends ExecCommand {
  static override summary = 'open a private RDS database on a local port';
  static override description =
    'Finds the instance, Aurora cluster or RDS Proxy, picks a machine that can reach it, and opens a local port. ' +
    'Ctrl-C drains open connections and closes; a second Ctrl-C closes at once.';
  static override examples = [
    '<%= config.bin %> rds prod --port 13306',
    '<%= config.bin %> rds prod --reader --reason "INC-1234: slow orders"',
    '<%= config.bin %> rds prod --via bastion-a --ttl 1h --idle 15m',
    '<%= config.bin %> rds prod --client -- -e "select 1"',
    '<%= config.bin %> rds prod --print env',
    '<%= config.bin %> rds prod --explain',
  ];
  static override args = {
    name: Args.string({
      description: 'database: its identifier, endpoint, or name in cloudtun.yaml',
      required: true,
      ignoreStdin: true,
    }),
  };
  static override flags = {
    ...AWS_FLAGS,
    ...TUNNEL_FLAGS,
    ...DOCUMENT_FLAG,
    ...MONITOR_FLAGS,
    port: Flags.string({
      description: 'local port, or auto for any free one (default: the same one every day)',
      env: 'CLOUDTUN_PORT',
      helpValue: 'PORT',
    }),
    ...VIA_FLAG,
    ...USE_FLAGS,
    reader: Flags.boolean({
      description: 'the reading endpoint of a cluster, or a read replica',
      env: 'CLOUDTUN_READER',
    }),
  };

  override async init(): Promise<void> {
    this.separateWords();
    await super.init();
  }

  async run(): Promise<TunnelResult> {
    const { args, flags } = await this.parse(Rds);
    const catalogue = await loadCatalogue(this.world);
    const plan = planDatabase(
      'rds',
      args.name,
      { ...flags, bind: listOf(flags.bind), via: hopsOf(flags.via) },
      catalogue,
    );
    return await this.useOrHold(args.name, plan, catalogue, flags);
  }
}

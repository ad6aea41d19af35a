import { Args, Flags } from '@oclif/core';
import { DOCUMENT_FLAG, hopsOf, listOf, MONITOR_FLAGS, SELECTION_FLAGS, TUNNEL_FLAGS, VIA_FLAG } from '../cli/flags.ts';
import { TunnelCommand, type TunnelResult } from '../cli/tunnel-command.ts';
import { farPortOf } from '../compose.ts';
import { loadCatalogue } from '../config/load.ts';
import { splitCloudPrefix } from '../domain/cloud-prefix.ts';
import { checkForwardRules, parseForwardRule } from '../forward/forward-rule.ts';
import { planForward } from '../plan/tunnel-plan.ts';

export default class Forward extends TunnelCommand {
  static override summary = 'open ports of a private machine, or of hosts behind it, on local ports';
  static override description =
    'Rules are written as for ssh, [bind:]port:host:hostport, or as for kubectl, local:remote. ' +
    'Ctrl-C drains open connections and closes; a second Ctrl-C closes at once.';
  static override examples = [
    '<%= config.bin %> forward web-1 -L 8080:80',
    '<%= config.bin %> forward web-1 8080:80 :443',
    '<%= config.bin %> forward tag:role=bastion -L 5432:db.internal:5432 -L 6379:cache.internal:6379',
    '<%= config.bin %> forward gcp:web-1 -L 8080:80',
    '<%= config.bin %> forward db.internal:5432@asia-northeast1/default/private-sql --port 15432',
    '<%= config.bin %> forward admin',
  ];
  static override args = {
    target: Args.string({
      description:
        'machine: id, name, private address, tag:Key=Value, asg:name, project/zone/instance, label:key=value, ' +
        'or a name in cloudtun.yaml; a host of a destination group: host:port@region/network/group; ' +
        'with the cloud before it where that is not clear, gcp:web-1',
      required: true,
      ignoreStdin: true,
    }),
    rules: Args.string({
      description: 'local:remote, :remote for any free local port, or one port for both',
      multiple: true,
      ignoreStdin: true,
    }),
  };
  static override flags = {
    ...SELECTION_FLAGS,
    ...TUNNEL_FLAGS,
    ...DOCUMENT_FLAG,
    ...MONITOR_FLAGS,
    ...VIA_FLAG,
    local: Flags.string({
      char: 'L',
      description: 'a rule; may be repeated',
      env: 'CLOUDTUN_LOCAL',
      helpValue: '[BIND:]PORT[:HOST:HOSTPORT]',
      multiple: true,
      multipleNonGreedy: true,
    }),
    port: Flags.string({
      description: 'local port of a target that names its own far end, or auto',
      env: 'CLOUDTUN_PORT',
      helpValue: 'PORT',
    }),
  };

  async run(): Promise<TunnelResult> {
    const { args, flags } = await this.parse(Forward);
    const rules = [...(listOf(flags.local) ?? []), ...(args.rules ?? [])].map(parseForwardRule);
    checkForwardRules(rules);
    const catalogue = await loadCatalogue(this.world);
    const farPort = await farPortOf(splitCloudPrefix(args.target).text);
    const plan = planForward(
      args.target,
      rules,
      { ...flags, bind: listOf(flags.bind), via: hopsOf(flags.via) },
      catalogue,
      farPort,
    );
    return await this.hold(args.target, plan, flags);
  }
}

import { Args, Flags } from '@oclif/core';
import { DOCUMENT_FLAG, hopsOf, listOf, MONITOR_FLAGS, SELECTION_FLAGS, TUNNEL_FLAGS, VIA_FLAG } from '../cli/flags.ts';
import { monitored } from '../cli/monitoring.ts';
import type { EventJson } from '../cli/present/event-schema.ts';
import { SocksScreen } from '../cli/socks-screen.ts';
import { placesOf, type ServedPlan, TunnelCommand, type TunnelResult } from '../cli/tunnel-command.ts';
import { loadCatalogue } from '../config/load.ts';
import { type Target, targetLabel } from '../domain/target.ts';
import type { App } from '../plan/app.ts';
import { openPlannedSocks } from '../plan/open-planned.ts';
import { planSocks } from '../plan/tunnel-plan.ts';
import { parseHostPattern, type SocksRules } from '../socks/rules.ts';
import type { SocksEvent } from '../socks/socks-types.ts';

const { 'no-probe': _nothingIsProbed, ...FLAGS } = TUNNEL_FLAGS;

export default class Socks extends TunnelCommand {
  static override summary = 'reach any private host through a machine: SOCKS and HTTP proxy on a local port';
  static override description =
    'Serves SOCKS5, SOCKS4a and HTTP CONNECT on one port, and a PAC file for browsers. Names are resolved on the far side; ' +
    'localhost is the machine itself. On Google Cloud other hosts are reached by a login to the machine, or through its destination ' +
    'group. ' +
    'Ctrl-C drains open connections and closes; a second Ctrl-C closes at once.';
  static override examples = [
    '<%= config.bin %> socks bastion',
    "<%= config.bin %> socks tag:role=bastion --port 1080 --only '*.internal' --only 10.0.0.0/8",
    "<%= config.bin %> socks bastion --except pay.internal --reason 'INC-1234'",
    'curl --socks5-hostname 127.0.0.1:1080 http://admin.internal/',
    'git -c http.proxy=socks5h://127.0.0.1:1080 clone http://git.internal/team/app.git',
  ];
  static override args = {
    target: Args.string({
      description:
        'machine: id, name, private address, tag:Key=Value, asg:name, project/zone/instance, label:key=value, ' +
        'or a name in cloudtun.yaml; a destination group by one of its hosts: host@region/network/group',
      required: true,
      ignoreStdin: true,
    }),
  };
  static override flags = {
    ...SELECTION_FLAGS,
    ...FLAGS,
    ...DOCUMENT_FLAG,
    ...MONITOR_FLAGS,
    ...VIA_FLAG,
    port: Flags.string({
      description: 'local port, or auto for any free one (default: 1080)',
      env: 'CLOUDTUN_PORT',
      helpValue: 'PORT',
    }),
    only: Flags.string({
      description: 'reach these hosts only, by name or address; may be repeated',
      env: 'CLOUDTUN_ONLY',
      helpValue: 'PATTERN',
      multiple: true,
      multipleNonGreedy: true,
    }),
    except: Flags.string({
      description: 'never reach these hosts; may be repeated',
      env: 'CLOUDTUN_EXCEPT',
      helpValue: 'PATTERN',
      multiple: true,
      multipleNonGreedy: true,
    }),
  };
  #rules: SocksRules = { only: [], except: [] };

  async run(): Promise<TunnelResult> {
    const { args, flags } = await this.parse(Socks);
    this.#rules = {
      only: (listOf(flags.only) ?? []).map((text) => parseHostPattern(text, '--only')),
      except: (listOf(flags.except) ?? []).map((text) => parseHostPattern(text, '--except')),
    };
    const catalogue = await loadCatalogue(this.world);
    const plan = planSocks(args.target, { ...flags, bind: listOf(flags.bind), via: hopsOf(flags.via) }, catalogue);
    return await this.hold(args.target, plan, flags);
  }

  protected override async serve(app: App, { name, plan, planned }: ServedPlan): Promise<EventJson> {
    const options = { placeOf: placesOf(app), name, isJson: this.jsonEnabled() };
    const screen = new SocksScreen(this.world, this.terminal, options);
    screen.opening();
    await using monitoring = await this.monitoring([name]);
    let target: Target | undefined;
    const onEvent = (event: SocksEvent) => {
      if (event.type === 'serving') target = event.target;
      monitoring.changed(event.type === 'draining');
      screen.onEvent(event);
    };
    await using socks = await openPlannedSocks(app, plan, planned, { rules: this.#rules, onEvent });
    using _ending = this.drainsFirst(socks);
    monitoring.watch(() => [monitored(name, socks.status(), socks.local, target && targetLabel(target))]);
    await socks.ready;
    monitoring.ready();
    const report = await socks.closed;
    return this.ended(report, () => screen.closed(report));
  }
}

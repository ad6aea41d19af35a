import { Args, Flags } from '@oclif/core';
import { allowedSources, exposeRule } from '../cli/expose-arguments.ts';
import { ExposeScreen } from '../cli/expose-screen.ts';
import { DOCUMENT_FLAG, hopsOf, listOf, SELECTION_FLAGS, TUNNEL_FLAGS, VIA_FLAG } from '../cli/flags.ts';
import { LOGIN_FLAGS, loginWish } from '../cli/login-flags.ts';
import { openLoginPlace } from '../cli/planned-login.ts';
import type { EventJson } from '../cli/present/event-schema.ts';
import { parseDestination } from '../cli/ssh-arguments.ts';
import { repeatedLoginListener } from '../cli/ssh-screen.ts';
import { placesOf, type ServedPlan, TunnelCommand, type TunnelResult } from '../cli/tunnel-command.ts';
import { loadCatalogue } from '../config/load.ts';
import { formatEndpoint } from '../domain/endpoint.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { ExposeRule, LoginSource } from '../expose/expose-types.ts';
import type { App } from '../plan/app.ts';
import { planSsh } from '../plan/tunnel-plan.ts';
import type { Cidr } from '../runtime/cidr.ts';
import { isLoopbackAddress } from '../runtime/loopback.ts';
import type { LoginWish } from '../ssh/open-login.ts';

const { grace, reason, explain, 'max-bytes': maxBytes } = TUNNEL_FLAGS;
const DEFAULT_TTL = '1h';

export default class Expose extends TunnelCommand {
  static override summary = 'let a private machine reach a service on this side, for a while';
  static override description =
    'The SSH server of the machine listens on a port there and hands connections to a service here. Only the machine itself can ' +
    'connect, unless --bind-remote says otherwise. It always ends by itself: after an hour, or --ttl. When the connection is lost, ' +
    'the same port is asked for again. Ctrl-C drains open connections and closes; a second Ctrl-C closes at once.';
  static override examples = [
    '<%= config.bin %> expose web-1 --remote 8080 --local 3000',
    '<%= config.bin %> expose web-1 --remote 0 --local 3000 --ttl 15m --reason "webhook test"',
    '<%= config.bin %> expose alice@web-1 --remote 5432 --local db.lan:5432',
    '<%= config.bin %> expose bastion --remote 8080 --local 3000 --bind-remote 10.0.0.5 --allow 10.0.0.0/16',
  ];
  static override args = {
    target: Args.string({
      description:
        '[USER@]machine: id, name, private address, tag:Key=Value, project/zone/instance, or a name in cloudtun.yaml',
      required: true,
      ignoreStdin: true,
    }),
  };
  static override flags = {
    remote: Flags.string({
      description: 'port that the machine listens on, or 0 for any that is free',
      env: 'CLOUDTUN_REMOTE',
      helpValue: 'PORT',
      required: true,
    }),
    local: Flags.string({
      description: 'service on this side: port, or host:port',
      env: 'CLOUDTUN_LOCAL_SERVICE',
      helpValue: '[HOST:]PORT',
      required: true,
    }),
    'bind-remote': Flags.string({
      description: 'address that the machine listens on, or * for all (default: its loopback)',
      env: 'CLOUDTUN_BIND_REMOTE',
      helpValue: 'ADDRESS',
    }),
    allow: Flags.string({
      description: 'let only these addresses connect; may be repeated',
      env: 'CLOUDTUN_ALLOW',
      helpValue: 'CIDR',
      multiple: true,
      multipleNonGreedy: true,
    }),
    ttl: Flags.string({
      description: 'close after this time (default: 1h)',
      env: 'CLOUDTUN_EXPOSE_TTL',
      helpValue: 'TIME',
    }),
    ...SELECTION_FLAGS,
    ...VIA_FLAG,
    ...LOGIN_FLAGS,
    'max-bytes': maxBytes,
    grace,
    reason,
    explain,
    ...DOCUMENT_FLAG,
  };
  #rule!: ExposeRule;
  #allow: readonly Cidr[] | undefined;
  #wish!: LoginWish;

  async run(): Promise<TunnelResult> {
    const { args, flags } = await this.parse(Expose);
    const destination = parseDestination(args.target);
    this.#rule = exposeRule(flags);
    const allow = listOf(flags.allow);
    this.#allow = allow && allowedSources(allow);
    const { remote, local } = this.#rule;
    const said = flags.login ?? destination.user;
    const planned = planSsh(
      destination.target,
      { ...flags, usualTtl: DEFAULT_TTL, port: undefined, bind: undefined, via: hopsOf(flags.via) },
      await loadCatalogue(this.world),
      {
        port: flags.port,
        use: `expose ${remote.port} -> ${formatEndpoint(local)}`,
        user: said,
        hasOwnKey: flags.agent || flags.identity !== undefined,
      },
    );
    if (planned.settings.ttl === undefined) throw withoutEnd();
    const plan = { ...planned, listens: [{ address: remote.host, by: '--bind-remote' }] };
    const user = said ?? plan.user;
    this.#wish = loginWish(this.world, flags, { user, port: plan.rules[0]!.to!.port });
    return await this.hold(destination.target, plan, flags);
  }

  protected override async serve(app: App, { name, plan, planned }: ServedPlan): Promise<EventJson> {
    const { openExposure } = await import('../expose/open-exposure.ts');
    const options = { placeOf: placesOf(app), name, isJson: this.jsonEnabled() };
    const screen = new ExposeScreen(this.world, this.terminal, options);
    screen.opening();
    this.#warn();
    const { onEvent } = screen;
    const login = repeatedLoginListener(this.terminal);
    await using exposure = openExposure(app, {
      rules: [this.#rule],
      ...(this.#allow && { allow: this.#allow }),
      reconnects: true,
      needsAll: true,
      open: async (onTunnel, signal): Promise<LoginSource> => {
        const { opened, logIn } = await openLoginPlace(app, planned, this.#wish, { login, tunnel: onTunnel }, signal);
        return {
          opened,
          logIn: async (calledOff) => {
            const connection = await logIn(calledOff);
            return { connection, [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose]() };
          },
        };
      },
      limits: plan.settings,
      onEvent,
    });
    using _ending = this.drainsFirst(exposure);
    await exposure.ready;
    const report = await exposure.closed;
    return this.ended(report, () => screen.closed(report));
  }

  #warn(): void {
    const { host } = this.#rule.remote;
    if (host === 'localhost' || isLoopbackAddress(host)) return;
    const who = host === '' ? 'everybody who reaches the machine' : `everybody who reaches ${host}`;
    const allowed = this.#allow ? ' from the allowed addresses' : '';
    this.world.log.warn(`${who}${allowed} can connect to ${formatEndpoint(this.#rule.local)} on this side`);
  }
}

function withoutEnd(): CloudtunError {
  return new CloudtunError('CT_USAGE', 'what is exposed always has an end: --ttl cannot be none', {
    hint: 'say how long it may last, such as --ttl 8h',
  });
}

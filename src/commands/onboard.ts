import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Flags } from '@oclif/core';
import { StartLimiter } from '../broker/start-limiter.ts';
import { askWhich } from '../cli/ask.ts';
import { CLOUD_FLAG, SELECTION_FLAGS } from '../cli/flags.ts';
import { heldRoute } from '../cli/held-route.ts';
import { COMPLETED_SHELLS, COMPLETION_PLACES, completionScript } from '../cli/present/completion-script.ts';
import {
  closingLines,
  identityLines,
  type OnboardReport,
  onboardJson,
  type SetupStep,
  standingLine,
  triedLines,
  untriedLine,
} from '../cli/present/onboard-report.ts';
import { TeamCommand } from '../cli/team-command.ts';
import { composeApp, farPortOf } from '../compose.ts';
import type { Catalogue } from '../config/catalogue.ts';
import { loadCatalogue, PROJECT_FILE } from '../config/load.ts';
import { SCHEMA_FILE } from '../config/schema-line.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { WantedName } from '../exec/open-names.ts';
import type { GivenThing, Standing } from '../onboarding/standing.ts';
import type { TriedTarget } from '../onboarding/try-access.ts';
import { planNamed } from '../plan/named-plan.ts';
import { planSsh, questionOf } from '../plan/tunnel-plan.ts';

/** What the journal and the clouds' own records get where a reason is asked for. */
const REASON = 'cloudtun onboard';

export default class Onboard extends TeamCommand {
  static override summary = "a newcomer's one command: who you are, what you may reach, tried, and what to type next";
  static override description =
    'Asks each cloud who you are, reads what cloudtun.yaml gives you, opens each of these targets once and closes it again, and offers to set ' +
    'up ssh, completion and your editor. For what is missing it writes the text to send. Ends with the exit code of the first failure.';
  static override examples = [
    '<%= config.bin %> onboard',
    '<%= config.bin %> onboard --yes',
    '<%= config.bin %> onboard --no-setup --json',
  ];
  static override flags = {
    ...SELECTION_FLAGS,
    ...CLOUD_FLAG,
    yes: Flags.boolean({ char: 'y', description: 'set everything up without asking', env: 'CLOUDTUN_YES' }),
    setup: Flags.boolean({
      description: 'offer to set up ssh, completion and the editor (default)',
      env: 'CLOUDTUN_SETUP',
      allowNo: true,
    }),
  };

  async run(): Promise<ReturnType<typeof onboardJson>> {
    await using _ = this.providers;
    const { flags } = await this.parse(Onboard);
    const catalogue = await loadCatalogue(this.world);
    if (catalogue.targets.size === 0) throw noCatalogue(catalogue);
    const { askIdentities } = await import('../onboarding/identities.ts');
    const { standingOf } = await import('../onboarding/standing.ts');
    const said = this.saidBy(flags);
    this.terminal.progress('asking the clouds who you are ...');
    const all = await askIdentities(catalogue, said, this.openProvider, this.signal);
    const places = all.filter(({ cloud }) => flags.cloud === undefined || flags.cloud === cloud);
    this.#say(identityLines(places));
    const known = places.flatMap((place) => ('identity' in place ? [place] : []));
    const standing = standingOf(catalogue, known, this.world.clock.wall());
    this.#say([standingLine(standing, catalogue.teams.size > 0)]);
    const mine = standing.given.filter(({ cloud }) => known.some((place) => place.cloud === cloud));
    const tried = await this.#try(catalogue, mine, said);
    for (const thing of mine) if (!isTried(thing)) this.#say([untriedLine(thing)]);
    const setup = flags.setup === false ? [] : await this.#setUp(catalogue, mine, flags.yes);
    const report: OnboardReport = {
      places,
      standing,
      tried,
      setup,
      next: nextCommands(catalogue, tried, mine, said),
      request: await this.#request(catalogue, standing, known, tried),
    };
    this.#say(closingLines(report));
    const failed = [
      ...places.flatMap((place) => ('error' in place ? [place.error] : [])),
      ...tried.flatMap((each) => (each.outcome === 'failed' ? [each.error] : [])),
    ];
    if (failed[0] !== undefined) this.endWith(failed[0].exitCode);
    return onboardJson(report);
  }

  #say(lines: readonly string[]): void {
    this.terminal.settle();
    if (!this.jsonEnabled()) for (const line of lines) this.terminal.result(line);
  }

  /** Ports and logins are tried; what would run something, or has no far end of its own, is not. */
  async #try(
    catalogue: Catalogue,
    given: readonly GivenThing[],
    said: Readonly<Record<string, string>>,
  ): Promise<readonly TriedTarget[]> {
    const wanted = await Promise.all(
      given.filter(isTried).map(async ({ verb, name }): Promise<WantedName> => {
        const flags = { ...said, port: 'auto', reason: REASON };
        const entry = catalogue.targets.get(name);
        const login = { port: undefined, use: REASON, hasOwnKey: true };
        const plan =
          verb === 'ssh'
            ? planSsh(name, flags, catalogue, login)
            : await planNamed(name, flags, catalogue, (target) => farPortOf(target));
        return { name: verb === 'ssh' ? `ssh ${name}` : name, plan, entry };
      }),
    );
    const { tryTargets } = await import('../onboarding/try-access.ts');
    const starts = new StartLimiter(this.world);
    let left = wanted.length;
    if (left > 0) this.terminal.progress(`trying ${left} ...`);
    return tryTargets(
      this.world,
      wanted,
      {
        compose: (plan) => composeApp(this.world, questionOf(plan), this.prompts, undefined, starts),
        held: (plan) => heldRoute(this.world, plan),
        onOrphan: () => {},
      },
      (tried) => {
        left -= 1;
        this.#say(
          triedLines(
            tried,
            given.find((each) => each.name === tried.name.replace(/^ssh /, '')),
          ),
        );
        if (left > 0) this.terminal.progress(`trying ${left} more ...`);
      },
      this.signal,
    );
  }

  async #request(
    catalogue: Catalogue,
    { teams }: Standing,
    known: readonly { readonly identity: { id: string; account: string; name: string; source: string } }[],
    tried: readonly TriedTarget[],
  ): Promise<readonly string[]> {
    const denied = tried.flatMap((each) => {
      if (each.outcome !== 'failed' || each.error.code !== 'CT_DENIED') return [];
      const missing = each.error.details.find(([label]) => label === 'missing')?.[1];
      const isSsh = each.name.startsWith('ssh ');
      return [
        {
          verb: isSsh ? ('ssh' as const) : ('connect' as const),
          name: each.name.replace(/^ssh /, ''),
          ...(missing !== undefined && { missing }),
        },
      ];
    });
    const nobody = teams.length === 0 && catalogue.teams.size > 0 && known.length > 0;
    const wanted = nobody
      ? [...catalogue.targets.keys()].slice(0, 1).map((name) => ({ verb: 'connect' as const, name }))
      : denied;
    if (wanted.length === 0) return [];
    const { accessRequest } = await import('../onboarding/access-request.ts');
    return accessRequest(
      catalogue,
      known.map(({ identity }) => identity),
      wanted,
      teams.map(({ team }) => team),
    );
  }

  async #setUp(catalogue: Catalogue, given: readonly GivenThing[], isAgreed: boolean): Promise<readonly SetupStep[]> {
    const steps: SetupStep[] = [];
    if (given.some(({ verb }) => verb === 'ssh') && this.world.platform !== 'win32') {
      const isWanted = await this.#agrees('Let ssh, scp and rsync find your machines by name?', isAgreed);
      if (isWanted) await this.config.runCommand('ssh-config', ['--install', '--quiet']);
      steps.push({
        what: 'ssh',
        isDone: isWanted,
        text: isWanted ? 'ssh NAME works' : 'cloudtun ssh-config --install',
      });
    }
    steps.push(await this.#completion(isAgreed), ...(await this.#schema(catalogue, isAgreed)));
    return steps;
  }

  async #completion(isAgreed: boolean): Promise<SetupStep> {
    const name = this.world.env.SHELL?.split('/').at(-1);
    const shell = COMPLETED_SHELLS.find((each) => each === name) ?? 'bash';
    const { home } = this.world.paths;
    // Where these shells look by themselves; zsh has no such place of a person's own.
    const file = {
      bash: join(home, '.local/share/bash-completion/completions/cloudtun'),
      fish: join(home, '.config/fish/completions/cloudtun.fish'),
      zsh: undefined,
    }[shell];
    if (file === undefined) return { what: 'completion', isDone: false, text: COMPLETION_PLACES[shell] };
    const script = `${completionScript(shell)}\n`;
    const isThere = (await readFile(file, 'utf8').catch(() => '')) === script;
    if (!isThere && !(await this.#agrees(`Complete names and flags in ${shell}?`, isAgreed)))
      return { what: 'completion', isDone: false, text: COMPLETION_PLACES[shell] };
    if (!isThere) {
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, script);
    }
    return { what: 'completion', isDone: true, text: `${file}, from the next shell on` };
  }

  async #schema({ files }: Catalogue, isAgreed: boolean): Promise<readonly SetupStep[]> {
    const project = files.find((file) => file.endsWith(PROJECT_FILE));
    if (project === undefined) return [];
    const file = join(dirname(project), SCHEMA_FILE);
    if (!existsSync(file)) {
      if (!(await this.#agrees(`Write ${SCHEMA_FILE}, so that editors complete and check cloudtun.yaml?`, isAgreed)))
        return [{ what: 'editor', isDone: false, text: `cloudtun config schema > ${SCHEMA_FILE}` }];
      const { catalogueJsonSchema } = await import('../config/json-schema.ts');
      await writeFile(file, `${JSON.stringify(catalogueJsonSchema(), undefined, 2)}\n`);
    }
    return [{ what: 'editor', isDone: true, text: `${SCHEMA_FILE} beside cloudtun.yaml` }];
  }

  async #agrees(question: string, isAgreed: boolean): Promise<boolean> {
    if (isAgreed) return true;
    if (!this.terminal.canAsk || this.jsonEnabled()) return false;
    const choices = [
      { value: 'yes', name: 'yes' },
      { value: 'no', name: 'no' },
    ];
    this.terminal.settle();
    return (await askWhich(question, choices, this.signal)) === 'yes';
  }
}

const isTried = ({ verb }: GivenThing) => verb === 'connect' || verb === 'ssh';

/** Three at most: what was tried and is open first. */
function nextCommands(
  { targets }: Catalogue,
  tried: readonly TriedTarget[],
  given: readonly GivenThing[],
  said: Readonly<Record<string, string>>,
): readonly string[] {
  const where = Object.entries(said)
    .map(([key, value]) => ` --${key} ${value}`)
    .join('');
  const open = tried.flatMap((each) => (each.outcome === 'open' ? [each.name] : []));
  const commands = open.map((name) => {
    if (name.startsWith('ssh ')) return `cloudtun ${name}`;
    const target = targets.get(name);
    return target?.kind === 'database' ? `cloudtun ${target.form} ${name} --client` : `cloudtun forward ${name}`;
  });
  const socks = given.find(({ verb }) => verb === 'socks');
  return [
    ...commands,
    ...(socks === undefined ? [] : [`cloudtun socks ${socks.name}`]),
    ...(commands.length > 0 ? [`cloudtun up ${open.find((name) => !name.startsWith('ssh ')) ?? ''}`.trim()] : []),
    'cloudtun targets',
  ]
    .filter((line) => line !== 'cloudtun up')
    .slice(0, 3)
    .map((line) => `${line}${where}`);
}

function noCatalogue({ files }: Catalogue): CloudtunError {
  const where = files.length === 0 ? 'there is no cloudtun.yaml here or above' : 'cloudtun.yaml names no targets';
  return new CloudtunError('CT_CONFIG', `${where}, so there is nothing to be given`, {
    hint: [`go to the directory that your team keeps it in`, 'or write one: cloudtun init'],
  });
}

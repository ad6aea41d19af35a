import { composeProviders, policyOf } from '../compose.ts';
import { loadCatalogue } from '../config/load.ts';
import type { Selection } from '../config/tunnel-settings.ts';
import { CloudtunError } from '../domain/errors.ts';
import { type PlaceKey, PROVIDER_IDS, type ProviderId } from '../domain/target.ts';
import type { PlanQuestion, PolicyKeys, TeamPlan } from '../onboarding/team-plan.ts';
import type { Provider } from '../providers/provider.ts';
import { Lifetime } from '../runtime/lifetime.ts';
import { BaseCommand } from './base-command.ts';
import { cloudOf } from './flags.ts';

/** Where to look, and in which cloud alone. */
export type TeamFlags = Readonly<Partial<Record<PlaceKey | 'cloud', string | undefined>>>;

/** A command about the permissions that the teams of the catalogue have. */
export abstract class TeamCommand extends BaseCommand {
  /** Closes what `openProvider` opened; the commands hold it with `await using`. */
  protected readonly providers = new Lifetime();

  /** @throws CT_CONFIG where there are no teams, and there have to be some */
  protected async question(flags: TeamFlags, { mayBeEmpty = false } = {}): Promise<PlanQuestion> {
    const catalogue = await loadCatalogue(this.world);
    if (catalogue.teams.size === 0 && !mayBeEmpty) {
      const where = catalogue.files.length === 0 ? 'there is no cloudtun.yaml' : 'cloudtun.yaml names no teams';
      throw new CloudtunError('CT_CONFIG', `${where}, so nobody is given anything`, {
        hint: 'who may reach what is said under teams: in cloudtun.yaml (docs/guides/team.md)',
      });
    }
    const cloud = cloudOf(flags.cloud);
    return { catalogue, said: this.saidBy(flags), ...(cloud !== undefined && { cloud }) };
  }

  /** What flags say of the place. */
  protected saidBy(flags: TeamFlags): Selection {
    const said = (['profile', 'region', 'project', 'zone'] as const).flatMap((key) =>
      flags[key] === undefined ? [] : [[key, flags[key]] as const],
    );
    return Object.fromEntries(said);
  }

  /** What tells sets of permissions apart, cloud by cloud. Loads no SDK. */
  protected async policyKeys(): Promise<PolicyKeys> {
    const keys = new Map(
      await Promise.all(PROVIDER_IDS.map(async (cloud) => [cloud, (await policyOf(cloud))?.keys] as const)),
    );
    return (cloud) => keys.get(cloud);
  }

  protected readonly openProvider = async (cloud: ProviderId, selection: Selection): Promise<Provider> => {
    const question = { cloud, said: selection, selection };
    const { providers } = this.providers.use(await composeProviders(this.world, question, this.prompts));
    return providers[0]!;
  };

  protected async plan(question: PlanQuestion): Promise<TeamPlan> {
    const { planTeams } = await import('../onboarding/team-plan.ts');
    this.terminal.progress('asking the clouds what is there ...');
    const plan = await planTeams(question, await this.policyKeys(), this.openProvider, this.signal);
    this.terminal.settle();
    return plan;
  }

  /** Long work without a wait stops here, so that Ctrl-C is heard. */
  protected readonly pause = async (): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    this.signal.throwIfAborted();
  };
}

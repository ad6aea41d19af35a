import { combinedFailure } from '../broker/settle-cloud.ts';
import { BaseCommand } from '../cli/base-command.ts';
import { withFirstSteps } from '../cli/first-steps.ts';
import { CLOUD_FLAG, cloudOf, SELECTION_FLAGS } from '../cli/flags.ts';
import { composeProviders } from '../compose.ts';
import { loadCatalogue } from '../config/load.ts';
import { tunnelSettings } from '../config/tunnel-settings.ts';
import { formatDuration } from '../domain/duration.ts';
import { asCloudtunError, CloudtunError } from '../domain/errors.ts';
import type { ProviderId } from '../domain/target.ts';
import type { LoginReport, Provider } from '../providers/provider.ts';

/** What `login --json` prints for a cloud that leaves the sign-in to its own tools. */
interface AdviceJson {
  readonly cloud: ProviderId;
  /** The credentials in use now; absent when there are none that work. */
  readonly identity?: { readonly id: string; readonly source: string };
  /** Ways to sign in, a line each. */
  readonly advice: readonly string[];
}

export default class Login extends BaseCommand {
  static override summary = 'sign in to AWS IAM Identity Center with a browser on any device';
  static override description =
    "The token goes into the AWS SDK's own cache, so that every SDK and the AWS CLI use it too. " +
    'For Google Cloud it says which credentials are in use, and how to get others: sign-in stays with gcloud or ' +
    'workload identity federation, and no secret is kept here.';
  static override examples = [
    '<%= config.bin %> login',
    '<%= config.bin %> login --profile prod',
    '<%= config.bin %> login --cloud gcp',
  ];
  static override flags = { ...SELECTION_FLAGS, ...CLOUD_FLAG };

  async run(): Promise<LoginReport | AdviceJson> {
    const { flags } = await this.parse(Login);
    const catalogue = await loadCatalogue(this.world);
    const { selection, said } = tunnelSettings(flags, catalogue);
    const question = { cloud: cloudOf(flags.cloud), said, selection };
    await using clouds = await composeProviders(this.world, question, this.prompts);
    // Where several clouds are set up, the one that cloudtun itself can sign in to is meant; the others are a flag away.
    const provider = clouds.providers.find(({ signIn }) => signIn !== undefined) ?? clouds.providers[0];
    if (provider === undefined) {
      const failed = clouds.candidates.flatMap((candidate) => ('error' in candidate ? [candidate] : []));
      throw combinedFailure(failed);
    }
    for (const { id } of clouds.providers) {
      if (id !== provider.id) this.terminal.note(`for ${id}: cloudtun login --cloud ${id}`);
    }
    try {
      return await this.#signIn(provider);
    } catch (thrown) {
      throw withFirstSteps(thrown, clouds.firstSteps);
    }
  }

  async #signIn(provider: Provider): Promise<LoginReport | AdviceJson> {
    if (!provider.signIn) return await this.#advise(provider);
    const report = await provider.signIn((signIn) => {
      // Shown also with --quiet: without it nobody can sign in.
      this.terminal.complain(`open ${signIn.url}`);
      this.terminal.complain(
        `  and check that it shows ${signIn.userCode} (valid for ${formatDuration(signIn.expiresInMs)})`,
      );
      this.terminal.progress('waiting for the sign-in ...');
    }, this.signal);
    if (!this.jsonEnabled()) this.terminal.result(`signed in until ${report.expiresAt}, cached in ${report.cachedIn}`);
    return report;
  }

  /** Who we are there now, and what to do to be somebody else; without credentials the exit code says so. */
  async #advise(provider: Provider): Promise<AdviceJson> {
    const advice = provider.signInAdvice ?? [];
    this.terminal.progress(`asking ${provider.label} ...`);
    const asked = await provider.gatekeeper.whoami(this.signal).catch((thrown: unknown) => {
      this.signal.throwIfAborted();
      return asCloudtunError(thrown);
    });
    this.terminal.settle();
    const isSignedIn = !(asked instanceof CloudtunError);
    if (!this.jsonEnabled()) {
      this.terminal.result(
        isSignedIn ? `${provider.id} knows you as ${asked.id} (${asked.source})` : `${provider.id}: ${asked.message}`,
      );
      this.terminal.result(isSignedIn ? 'to be somebody else:' : 'to sign in:');
      for (const line of advice) this.terminal.result(`  ${line}`);
    }
    if (!isSignedIn) this.endWith(asked.exitCode);
    return {
      cloud: provider.id,
      ...(isSignedIn && { identity: { id: asked.id, source: asked.source } }),
      advice,
    };
  }
}

import { BaseCommand } from '../cli/base-command.ts';
import { SELECTION_FLAGS } from '../cli/flags.ts';
import { composeProvider } from '../compose.ts';
import { loadCatalogue } from '../config/load.ts';
import { tunnelSettings } from '../config/tunnel-settings.ts';
import { formatDuration } from '../domain/duration.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { LoginReport } from '../providers/provider.ts';

export default class Login extends BaseCommand {
  static override summary = 'sign in to AWS IAM Identity Center with a browser on any device';
  static override description =
    "The token goes into the AWS SDK's own cache, so that every SDK and the AWS CLI use it too. " +
    'Google sign-in stays with gcloud or workload federation.';
  static override examples = ['<%= config.bin %> login', '<%= config.bin %> login --profile prod'];
  static override flags = { ...SELECTION_FLAGS };

  async run(): Promise<LoginReport> {
    const { flags } = await this.parse(Login);
    const catalogue = await loadCatalogue(this.world);
    const { selection } = tunnelSettings(flags, catalogue);
    await using provider = await composeProvider(this.world, selection, this.prompts);
    if (!provider.signIn) throw new CloudtunError('CT_USAGE', `${provider.id} has no sign-in of its own`);
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
}

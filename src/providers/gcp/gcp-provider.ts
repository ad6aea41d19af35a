import { Lifetime } from '../../runtime/lifetime.ts';
import { networkSettings } from '../../runtime/network.ts';
import type { World } from '../../runtime/world.ts';
import type { CloudSelection, Prompts, Provider } from '../provider.ts';
import { AccessTokens } from './access-token.ts';
import { GcpDatabaseLogins } from './database-logins.ts';
import { GcpTargetFinder } from './find-target.ts';
import { GcpGatekeeper } from './gatekeeper.ts';
import { GcpApi } from './gcp-api.ts';
import { gcpSettings, networkEnvironment } from './gcp-settings.ts';
import { HttpSender } from './http-sender.ts';
import { GcpLogins } from './logins.ts';
import { Whoami } from './whoami.ts';

/** What `login` says: Google's browser sign-in is gcloud's, and cloudtun keeps no long-lived secret of its own. */
export const SIGN_IN_ADVICE: readonly string[] = [
  'as yourself: gcloud auth application-default login',
  'as a service account: gcloud auth application-default login --impersonate-service-account=EMAIL',
  'from CI or another cloud: a workload identity federation file in GOOGLE_APPLICATION_CREDENTIALS',
  "with gcloud's own login, as it is: CLOUDTUN_GCLOUD_AUTH=1",
];

/**
 * Google Cloud as a provider: some projects, as flags, environment and gcloud's active configuration select them. Asks nothing and
 * looks for no credentials before the first call. Disposing it closes the connections it keeps.
 *
 * @throws CT_CONFIG (an endpoint or a configuration that is none), CT_TLS (a CA bundle that cannot be read), CT_PROXY. CT_NO_PROJECT
 *   comes with the first use of the project.
 */
export async function gcpProvider(world: World, selection: CloudSelection, _prompts: Prompts = {}): Promise<Provider> {
  const settings = await gcpSettings(world, selection);
  const lifetime = new Lifetime();
  const network = lifetime.use(
    await networkSettings({ ...world, env: networkEnvironment(world.env, settings.gcloud) }),
  );
  const http = new HttpSender(world, network, settings.endpoints);
  const tokens = new AccessTokens({ world, http, endpoints: settings.endpoints }, settings);
  const api = new GcpApi(world, settings, tokens, http);
  const whoami = new Whoami(settings, tokens, http);
  api.identifyWith((signal) => whoami.identity(signal));

  return {
    id: 'gcp',
    label: settings.label,
    profile: undefined,
    endpoint: world.env.CLOUDTUN_IAP_ENDPOINT || settings.endpoints.override,
    scope: settings.projects.join(','),
    ...(settings.projects[0] === undefined ? {} : { project: settings.projects[0] }),
    ...(settings.region === undefined ? {} : { region: settings.region }),
    network,
    finder: new GcpTargetFinder(api),
    gatekeeper: new GcpGatekeeper(world, api, whoami),
    logins: new GcpLogins(world, api),
    databaseLogins: new GcpDatabaseLogins(api, () => world.clock.wall()),
    signInAdvice: SIGN_IN_ADVICE,
    cloudLog: async (log, host) => new (await import('./cloud-log.ts')).CloudLoggingLog(api, log, host),
    auditFeed: async () => new (await import('./audit-feed.ts')).CloudAuditFeed(world, api),
    policies: async () => new (await import('./policy/author.ts')).GcpPolicyAuthor(api, new GcpLogins(world, api)),
    [Symbol.asyncDispose]: () => lifetime[Symbol.asyncDispose](),
  };
}

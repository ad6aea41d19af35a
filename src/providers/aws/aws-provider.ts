import { Lifetime } from '../../runtime/lifetime.ts';
import { networkSettings } from '../../runtime/network.ts';
import type { World } from '../../runtime/world.ts';
import type { CloudSelection, Prompts, Provider } from '../provider.ts';
import { AwsApi } from './aws-api.ts';
import { awsSettings } from './aws-settings.ts';
import { CredentialSource } from './credentials.ts';
import { AwsDatabaseLogins } from './database-logins.ts';
import { AwsTargetFinder } from './find-target.ts';
import { AwsGatekeeper } from './gatekeeper.ts';
import { AwsLogins } from './logins.ts';
import { RequestHandler } from './request-handler.ts';

/** What AWS's own answers are, more exactly than any cloud's. */
export interface AwsProvider extends Provider {
  readonly finder: AwsTargetFinder;
  readonly gatekeeper: AwsGatekeeper;
}

/**
 * AWS as a provider: one account and region, as flags, environment and shared files select them. Loads no service client by itself;
 * each comes with the first call that needs it. Environment variables that only the SDK knows (AWS_WEB_IDENTITY_TOKEN_FILE, those of
 * containers and EC2, AWS_RETRY_MODE) are read by it from the process and not from the World.
 *
 * Disposing it closes the connections it keeps; sessions are ended by their ticket sources.
 *
 * @throws CT_NO_PROFILE, CT_TLS (a CA bundle that cannot be read), CT_PROXY (an address that is none). CT_NO_REGION comes with the
 *   first use of the region, so that a profile without one can still sign in.
 */
export async function awsProvider(
  world: World,
  selection: CloudSelection,
  prompts: Prompts = {},
): Promise<AwsProvider> {
  const settings = await awsSettings(world, selection);
  const lifetime = new Lifetime();
  const network = lifetime.use(await networkSettings(world));
  const requestHandler = new RequestHandler(network);
  const credentials = new CredentialSource(world, settings, requestHandler, prompts);
  const api = new AwsApi(world, settings, credentials, requestHandler);
  lifetime.defer(() => api.close());
  const gatekeeper = new AwsGatekeeper(world, api);
  api.identifyWith((signal) => gatekeeper.whoami(signal));

  return {
    id: 'aws',
    label: settings.label,
    profile: settings.profile,
    endpoint: settings.endpoint('ssm'),
    get scope() {
      return api.region;
    },
    get region() {
      return api.region;
    },
    finder: new AwsTargetFinder(api, world.log),
    gatekeeper,
    logins: new AwsLogins(world, api),
    databaseLogins: new AwsDatabaseLogins(world, api),
    policies: async () =>
      new (await import('./policy/author.ts')).AwsPolicyAuthor({
        world,
        api,
        whoami: (signal) => gatekeeper.whoami(signal),
        guessUser: (elsewhere, machine, signal) => new AwsLogins(world, elsewhere).guessUser(machine, signal),
      }),
    hasSessionDocuments: true,
    signingKey: async (key, signal) => (await import('./signing-key.ts')).kmsSigningKey(api, key, signal),
    cloudLog: async (log, host) => new (await import('./cloud-log.ts')).CloudWatchLog(api, log, host),
    auditFeed: async () => new (await import('./audit-feed.ts')).CloudTrailFeed(world, api, gatekeeper),
    signIn: async (show, signal) => (await import('./sign-in.ts')).signIn(world, api, show, signal),
    [Symbol.asyncDispose]: () => lifetime[Symbol.asyncDispose](),
  };
}

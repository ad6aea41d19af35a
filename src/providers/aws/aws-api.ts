import type { Millis } from '../../domain/millis.ts';
import { withDeadline } from '../../runtime/deadline.ts';
import type { World } from '../../runtime/world.ts';
import type { Identity } from '../provider.ts';
import { type ApiCall, awsError, awsErrorName } from './aws-errors.ts';
import { type AwsService, type AwsSettings, requireRegion } from './aws-settings.ts';
import { type CredentialSource, loginCommand } from './credentials.ts';
import type { RequestHandler } from './request-handler.ts';

/** What a call is handed: the module to take commands from, the client to send them with, and the options of every `send`. */
type Run<Sdk, Client, Result> = (
  sdk: Sdk,
  client: Client,
  options: { readonly abortSignal: AbortSignal },
) => Promise<Result>;

type Ssm = typeof import('./sdk/ssm.ts');
type Ec2 = typeof import('./sdk/ec2.ts');
type InstanceConnect = typeof import('./sdk/ec2-instance-connect.ts');
type Rds = typeof import('./sdk/rds.ts');
type Sts = typeof import('./sdk/sts.ts');
type SecretsManager = typeof import('./sdk/secrets-manager.ts');
type SsoOidc = typeof import('./sdk/sso-oidc.ts');
type Iam = typeof import('./sdk/iam.ts');
type SsoAdmin = typeof import('./sdk/sso-admin.ts');
type Kms = typeof import('./sdk/kms.ts');
type Logs = typeof import('./sdk/logs.ts');
type CloudTrail = typeof import('./sdk/cloudtrail.ts');

/** In the header User-Agent of every call, behind what the SDK says of itself. */
export const USER_AGENT = 'cloudtun';
const EXPIRED = ['ExpiredToken', 'ExpiredTokenException', 'RequestExpired'];
/** Guessed: a denial is shown within this time even if STS does not say who we are. */
const IDENTIFY_WITHIN: Millis = 3_000;

/**
 * The one way to call AWS. Each service's client is loaded at its first call and not before (EC2 alone costs 400 ms and 90 MB
 * unbundled); what a call throws is a CloudtunError; credentials that expired under way are replaced once.
 */
export class AwsApi {
  readonly settings: AwsSettings;
  readonly credentials: CredentialSource;
  readonly #world: World;
  readonly #requestHandler: RequestHandler;
  /** By service and region. */
  readonly #loaded = new Map<string, Promise<{ readonly sdk: unknown; readonly client: { destroy(): void } }>>();
  readonly #elsewhere = new Map<string, AwsApi>();
  #identify: ((signal: AbortSignal) => Promise<Identity>) | undefined;

  constructor(world: World, settings: AwsSettings, credentials: CredentialSource, requestHandler: RequestHandler) {
    this.#world = world;
    this.settings = settings;
    this.credentials = credentials;
    this.#requestHandler = requestHandler;
  }

  /** How a denial learns who was denied. */
  identifyWith(identify: (signal: AbortSignal) => Promise<Identity>): void {
    this.#identify = identify;
  }

  /** Whose credentials are in use; undefined where nobody can be asked. @throws CT_CREDENTIALS_EXPIRED …, or the signal's reason */
  async identity(signal: AbortSignal): Promise<Identity | undefined> {
    return this.#identify && (await withDeadline(this.#world.clock, IDENTIFY_WITHIN, this.#identify, signal));
  }

  /** The same account in another region; closed with this one. */
  in(region: string): AwsApi {
    if (region === this.settings.region) return this;
    const known = this.#elsewhere.get(region);
    if (known !== undefined) return known;
    const label = `aws ${[this.settings.profile, region].filter((part) => part !== undefined).join('/')}`;
    const settings = { ...this.settings, region, label };
    const made = new AwsApi(this.#world, settings, this.credentials, this.#requestHandler);
    if (this.#identify !== undefined) made.identifyWith(this.#identify);
    this.#elsewhere.set(region, made);
    return made;
  }

  /** @throws CT_NO_REGION */
  get region(): string {
    return requireRegion(this.settings);
  }

  ssm<Result>(
    call: ApiCall,
    signal: AbortSignal,
    run: Run<Ssm, InstanceType<Ssm['SSMClient']>, Result>,
  ): Promise<Result> {
    const load = async () => {
      const sdk = await import('./sdk/ssm.ts');
      return { sdk, client: new sdk.SSMClient(this.#clientConfig('ssm')) };
    };
    return this.#call('ssm', load, call, signal, run);
  }

  ec2<Result>(
    call: ApiCall,
    signal: AbortSignal,
    run: Run<Ec2, InstanceType<Ec2['EC2Client']>, Result>,
  ): Promise<Result> {
    const load = async () => {
      const sdk = await import('./sdk/ec2.ts');
      return { sdk, client: new sdk.EC2Client(this.#clientConfig('ec2')) };
    };
    return this.#call('ec2', load, call, signal, run);
  }

  instanceConnect<Result>(
    call: ApiCall,
    signal: AbortSignal,
    run: Run<InstanceConnect, InstanceType<InstanceConnect['EC2InstanceConnectClient']>, Result>,
  ): Promise<Result> {
    const load = async () => {
      const sdk = await import('./sdk/ec2-instance-connect.ts');
      return { sdk, client: new sdk.EC2InstanceConnectClient(this.#clientConfig('ec2_instance_connect')) };
    };
    return this.#call('ec2_instance_connect', load, call, signal, run);
  }

  rds<Result>(
    call: ApiCall,
    signal: AbortSignal,
    run: Run<Rds, InstanceType<Rds['RDSClient']>, Result>,
  ): Promise<Result> {
    const load = async () => {
      const sdk = await import('./sdk/rds.ts');
      return { sdk, client: new sdk.RDSClient(this.#clientConfig('rds')) };
    };
    return this.#call('rds', load, call, signal, run);
  }

  sts<Result>(
    call: ApiCall,
    signal: AbortSignal,
    run: Run<Sts, InstanceType<Sts['STSClient']>, Result>,
  ): Promise<Result> {
    const load = async () => {
      const sdk = await import('./sdk/sts.ts');
      return { sdk, client: new sdk.STSClient(this.#clientConfig('sts')) };
    };
    return this.#call('sts', load, call, signal, run);
  }

  secretsManager<Result>(
    call: ApiCall,
    signal: AbortSignal,
    run: Run<SecretsManager, InstanceType<SecretsManager['SecretsManagerClient']>, Result>,
    region?: string,
  ): Promise<Result> {
    const load = async () => {
      const sdk = await import('./sdk/secrets-manager.ts');
      return { sdk, client: new sdk.SecretsManagerClient(this.#clientConfig('secrets_manager', region)) };
    };
    return this.#call('secrets_manager', load, call, signal, run, region);
  }

  /** @param region where Identity Center lives; seldom the region of the targets */
  ssoOidc<Result>(
    region: string,
    call: ApiCall,
    signal: AbortSignal,
    run: Run<SsoOidc, InstanceType<SsoOidc['SSOOIDCClient']>, Result>,
  ): Promise<Result> {
    const load = async () => {
      const sdk = await import('./sdk/sso-oidc.ts');
      const { credentials: _, ...config } = this.#clientConfig('sso_oidc', region);
      return { sdk, client: new sdk.SSOOIDCClient(config) };
    };
    return this.#call('sso_oidc', load, call, signal, run, region);
  }

  kms<Result>(
    call: ApiCall,
    signal: AbortSignal,
    run: Run<Kms, InstanceType<Kms['KMSClient']>, Result>,
  ): Promise<Result> {
    const load = async () => {
      const sdk = await import('./sdk/kms.ts');
      return { sdk, client: new sdk.KMSClient(this.#clientConfig('kms')) };
    };
    return this.#call('kms', load, call, signal, run);
  }

  logs<Result>(
    call: ApiCall,
    signal: AbortSignal,
    run: Run<Logs, InstanceType<Logs['CloudWatchLogsClient']>, Result>,
  ): Promise<Result> {
    const load = async () => {
      const sdk = await import('./sdk/logs.ts');
      return { sdk, client: new sdk.CloudWatchLogsClient(this.#clientConfig('cloudwatch_logs')) };
    };
    return this.#call('cloudwatch_logs', load, call, signal, run);
  }

  cloudTrail<Result>(
    call: ApiCall,
    signal: AbortSignal,
    run: Run<CloudTrail, InstanceType<CloudTrail['CloudTrailClient']>, Result>,
  ): Promise<Result> {
    const load = async () => {
      const sdk = await import('./sdk/cloudtrail.ts');
      return { sdk, client: new sdk.CloudTrailClient(this.#clientConfig('cloudtrail')) };
    };
    return this.#call('cloudtrail', load, call, signal, run);
  }

  /** IAM has no regions. */
  iam<Result>(
    call: ApiCall,
    signal: AbortSignal,
    run: Run<Iam, InstanceType<Iam['IAMClient']>, Result>,
  ): Promise<Result> {
    const load = async () => {
      const sdk = await import('./sdk/iam.ts');
      return { sdk, client: new sdk.IAMClient(this.#clientConfig('iam')) };
    };
    return this.#call('iam', load, call, signal, run);
  }

  /** Identity Center's administration, in the region where it lives as far as the profile says so. */
  ssoAdmin<Result>(
    call: ApiCall,
    signal: AbortSignal,
    run: Run<SsoAdmin, InstanceType<SsoAdmin['SSOAdminClient']>, Result>,
  ): Promise<Result> {
    const region = this.settings.sso?.region ?? this.region;
    const load = async () => {
      const sdk = await import('./sdk/sso-admin.ts');
      return { sdk, client: new sdk.SSOAdminClient(this.#clientConfig('sso_admin', region)) };
    };
    return this.#call('sso_admin', load, call, signal, run, region);
  }

  close(): void {
    for (const api of this.#elsewhere.values()) api.close();
    this.#elsewhere.clear();
    for (const loading of this.#loaded.values()) {
      loading.then(
        ({ client }) => client.destroy(),
        () => {},
      );
    }
    this.#loaded.clear();
  }

  #clientConfig(service: AwsService, region = this.region) {
    const { settings } = this;
    const endpoint = settings.endpoint(service);
    const nothing = () => {};
    // `memoized` tells the SDK that this provider keeps credentials itself: otherwise it would hold what has no end for ever.
    const credentials = Object.assign(() => this.credentials.current(), { memoized: true });
    return {
      region,
      credentials,
      // How CloudTrail tells our sessions from those of other programs.
      customUserAgent: USER_AGENT,
      requestHandler: this.#requestHandler,
      // An endpoint of the user's own is taken as it is; the SDK refuses the switches beside it.
      ...(endpoint === undefined
        ? { useFipsEndpoint: settings.useFips, useDualstackEndpoint: settings.useDualstack }
        : { endpoint, useFipsEndpoint: false, useDualstackEndpoint: false }),
      ...(settings.maxAttempts === undefined ? {} : { maxAttempts: settings.maxAttempts }),
      logger: { trace: nothing, debug: nothing, info: nothing, warn: nothing, error: nothing },
    };
  }

  async #call<Sdk, Client extends { destroy(): void }, Result>(
    service: AwsService,
    load: () => Promise<{ readonly sdk: Sdk; readonly client: Client }>,
    call: ApiCall,
    signal: AbortSignal,
    run: Run<Sdk, Client, Result>,
    region?: string,
  ): Promise<Result> {
    signal.throwIfAborted();
    const key = `${service} ${region ?? ''}`;
    const loading = (this.#loaded.get(key) as ReturnType<typeof load> | undefined) ?? load();
    this.#loaded.set(key, loading);
    const { sdk, client } = await loading;
    const attempt = () => run(sdk, client, { abortSignal: signal });
    const started = this.#world.clock.now();
    try {
      return await attempt().catch(async (error: unknown) => {
        signal.throwIfAborted();
        // Signing in happens without credentials, and has an "expired" of its own.
        if (service === 'sso_oidc' || !(await this.#hasOtherCredentials(error))) throw error;
        return attempt();
      });
    } catch (error) {
      signal.throwIfAborted();
      throw await this.#explain(error, call, this.#host(service, region), signal);
    } finally {
      this.#world.log.debug(`${call.action} ${Math.round(this.#world.clock.now() - started)} ms`);
    }
  }

  /** After "expired": whether the chain, asked again, gives something else, so that trying again makes sense. */
  async #hasOtherCredentials(error: unknown): Promise<boolean> {
    if (!EXPIRED.includes(awsErrorName(error) ?? '')) return false;
    const before = await this.credentials.current();
    this.credentials.forget();
    const after = await this.credentials.current();
    return before.accessKeyId !== after.accessKeyId || before.sessionToken !== after.sessionToken;
  }

  async #explain(error: unknown, call: ApiCall, host: string, signal: AbortSignal): Promise<Error> {
    const context = { call, host, login: loginCommand(this.settings) };
    const plain = awsError(error, context);
    if (plain === error || plain.code !== 'CT_DENIED' || /^(sts|sso-oidc):/.test(call.action)) return plain;
    const identity = await this.identity(signal).catch(() => undefined);
    return identity === undefined ? plain : awsError(error, { ...context, identity });
  }

  #host(service: AwsService, region = this.settings.region): string {
    const endpoint = this.settings.endpoint(service);
    if (endpoint !== undefined && URL.canParse(endpoint)) return new URL(endpoint).host;
    return `AWS ${service.replaceAll('_', '-').toUpperCase()} in ${region ?? 'no region'}`;
  }
}

import { CloudtunError } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import { dateAt, parseIsoTime } from '../../runtime/iso-time.ts';
import { asNetworkError } from '../../runtime/network-errors.ts';
import type { World } from '../../runtime/world.ts';
import type { Prompts } from '../provider.ts';
import { awsError } from './aws-errors.ts';
import type { AwsSettings } from './aws-settings.ts';
import type { RequestHandler } from './request-handler.ts';
import type { DefaultProviderInit } from './sdk/credentials.ts';
import { ssoCachePath, ssoTokenState } from './sso-cache.ts';

/** As the SDK passes them about; a plain object because the SDK wants one. Never print, log or store it. */
export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
  /** How the SDK came by them, by its own feature names. */
  readonly $source?: Readonly<Record<string, string>>;
}

/** Credentials nearer to their end than this are replaced before use; the SDK's own figure for all its providers. */
const RENEW_BEFORE_MS: Millis = 300_000;
/** Guessed: sources that only have credentials near their end (some processes do) are not asked more often than this. */
const ASK_AGAIN_AFTER: Millis = 60_000;
/** The SDK's default, stated: off EC2 the metadata address answers nobody, and a laptop must not wait long to learn it. */
const METADATA_TIMEOUT_MS: Millis = 1_000;

/** `cloudtun login`, with the profile if one was chosen. */
export function loginCommand(settings: AwsSettings): string {
  return settings.profile === undefined ? 'cloudtun login' : `cloudtun login --profile ${settings.profile}`;
}

/**
 * The standard credential chain, asked when needed and never believed longer than what it gave is valid. The environment's keys are
 * read from the World; the rest of the chain (profiles, SSO, assumed roles, processes, web identity, containers, EC2) is the SDK's.
 */
export class CredentialSource {
  readonly #world: World;
  readonly #settings: AwsSettings;
  readonly #requestHandler: RequestHandler;
  readonly #prompts: Prompts;
  #held: AwsCredentials | undefined;
  #askedAt: Millis = 0;
  #asking: Promise<AwsCredentials> | undefined;

  constructor(world: World, settings: AwsSettings, requestHandler: RequestHandler, prompts: Prompts) {
    this.#world = world;
    this.#settings = settings;
    this.#requestHandler = requestHandler;
    this.#prompts = prompts;
  }

  /**
   * Credentials that are valid now and for some minutes.
   *
   * @throws CT_NO_CREDENTIALS, CT_CREDENTIALS_EXPIRED, CT_DENIED (a role that may not be assumed), CT_NETWORK …
   */
  async current(): Promise<AwsCredentials> {
    const held = this.#held;
    return held === undefined || this.#shouldReplace(held) ? this.#ask() : held;
  }

  /**
   * Like `current`, but does not rely on what was held if it says nothing of its end: other programs rewrite keys in
   * ~/.aws/credentials, and a long-lived tunnel must see that before it resumes. What has an end that is far is kept, because asking
   * again could mean asking a person for an MFA code.
   */
  async fresh(): Promise<AwsCredentials> {
    if (this.#held?.expiration === undefined) this.#held = undefined;
    return this.current();
  }

  /** AWS said that they are not valid any more, whatever their end was said to be. */
  forget(): void {
    this.#held = undefined;
  }

  /** `profile prod, SSO`: how we came by the credentials that are held. */
  get source(): string {
    const features = Object.keys(this.#held?.$source ?? {});
    const has = (part: string) => features.some((feature) => feature.includes(part));
    const profile = `profile ${this.#settings.profile ?? 'default'}`;
    // The SDK puts its mark on every source but this one.
    if (features.length === 0) return 'instance metadata';
    if (has('HTTP')) return 'container';
    if (has('SOURCE_PROFILE'))
      return `${profile}, role ${this.#settings.profileKeys.role_arn?.split('/').at(-1) ?? '?'}`;
    if (has('SSO')) return `${profile}, SSO`;
    if (has('PROCESS')) return `${profile}, credential_process`;
    if (has('LOGIN')) return `${profile}, console login`;
    if (has('WEB_ID')) return 'web identity';
    if (has('PROFILE')) return profile;
    return 'environment';
  }

  #shouldReplace({ expiration }: AwsCredentials): boolean {
    if (expiration === undefined) return false;
    const left = expiration.getTime() - this.#world.clock.wall();
    if (left > RENEW_BEFORE_MS) return false;
    return left <= 0 || this.#world.clock.now() - this.#askedAt >= ASK_AGAIN_AFTER;
  }

  /** One question at a time: two callers must not ask a person for two MFA codes. */
  #ask(): Promise<AwsCredentials> {
    this.#asking ??= this.#resolve()
      .then((credentials) => {
        this.#held = credentials;
        this.#askedAt = this.#world.clock.now();
        return credentials;
      })
      .finally(() => {
        this.#asking = undefined;
      });
    return this.#asking;
  }

  async #resolve(): Promise<AwsCredentials> {
    const fromEnvironment = this.#fromEnvironment();
    if (fromEnvironment !== undefined) return fromEnvironment;
    const { defaultProvider } = await import('./sdk/credentials.ts');
    try {
      return (await defaultProvider(this.#chainOptions())()) as AwsCredentials;
    } catch (error) {
      throw await this.#explain(error);
    }
  }

  /** As in the SDK: a profile that was named beats keys in the environment. */
  #fromEnvironment(): AwsCredentials | undefined {
    const { env } = this.#world;
    if (this.#settings.profile !== undefined || !env.AWS_ACCESS_KEY_ID || !env.AWS_SECRET_ACCESS_KEY) return undefined;
    const expiresAt = parseIsoTime(env.AWS_CREDENTIAL_EXPIRATION ?? '');
    return {
      accessKeyId: env.AWS_ACCESS_KEY_ID,
      secretAccessKey: env.AWS_SECRET_ACCESS_KEY,
      ...(env.AWS_SESSION_TOKEN ? { sessionToken: env.AWS_SESSION_TOKEN } : {}),
      ...(expiresAt === undefined ? {} : { expiration: dateAt(expiresAt) }),
      $source: { CREDENTIALS_ENV_VARS: 'g' },
    };
  }

  #chainOptions(): DefaultProviderInit {
    const { profile, files, region } = this.#settings;
    const debug = (message: unknown) => this.#world.log.debug(String(message));
    const nothing = () => {};
    const requestHandler = this.#requestHandler as never;
    return {
      ...files,
      ...(profile === undefined ? {} : { profile }),
      ignoreCache: true,
      clientConfig: { requestHandler },
      parentClientConfig: { requestHandler, ...(region === undefined ? {} : { region }) },
      mfaCodeProvider: (serial) => this.#mfaCode(serial),
      timeout: METADATA_TIMEOUT_MS,
      maxRetries: 0,
      // Without a logger the SDK writes warnings to the console.
      logger: { debug, info: nothing, warn: debug, error: nothing, trace: nothing },
    };
  }

  async #mfaCode(serial: string): Promise<string> {
    if (this.#prompts.mfaCode !== undefined) return this.#prompts.mfaCode(serial);
    throw new CloudtunError(
      'CT_NO_CREDENTIALS',
      `profile ${this.#settings.profile ?? 'default'} wants a code of ${serial}, and there is no terminal to ask on`,
      {
        hint: 'run it on a terminal, or hand over temporary credentials in AWS_ACCESS_KEY_ID, …SECRET… and AWS_SESSION_TOKEN',
      },
    );
  }

  /** The SDK has one error class and many sentences for a chain that gave nothing; we look at the state of things instead. */
  async #explain(error: unknown): Promise<CloudtunError> {
    if (error instanceof CloudtunError) return error;
    const login = loginCommand(this.#settings);
    const profile = this.#settings.profile ?? 'default';
    const role = this.#settings.profileKeys.role_arn;
    if (error instanceof Error && '$metadata' in error) {
      return awsError(error, {
        call: {
          action: 'sts:AssumeRole',
          doing: `assume the role of profile ${profile}`,
          ...(role ? { resource: role } : {}),
        },
        host: 'the AWS sign-in service',
        login,
      });
    }
    const network = asNetworkError(error, 'the source of AWS credentials');
    if (network !== undefined) return network;
    const { sso } = this.#settings;
    if (sso !== undefined) {
      const state = await ssoTokenState(ssoCachePath(this.#world.paths, sso), this.#world.clock.wall());
      if (state === 'expired') {
        return new CloudtunError('CT_CREDENTIALS_EXPIRED', `the sign-in of profile ${profile} has expired`, {
          hint: `sign in again: ${login}`,
          cause: error,
        });
      }
      const sentence =
        state === 'absent' ? `nobody is signed in for profile ${profile}` : `profile ${profile} gave no credentials`;
      return new CloudtunError('CT_NO_CREDENTIALS', sentence, { hint: `sign in: ${login}`, cause: error });
    }
    return new CloudtunError('CT_NO_CREDENTIALS', `no AWS credentials were found (${this.#places()})`, {
      hint: [
        `sign in with Identity Center: ${login}`,
        'or choose a profile: --profile NAME or AWS_PROFILE',
        'or try it without an account: cloudtun demo',
      ],
      cause: error,
    });
  }

  #places(): string {
    return this.#settings.profile === undefined
      ? 'environment, default profile, web identity, container, instance metadata'
      : `profile ${this.#settings.profile}`;
  }
}

import { join } from 'node:path';
import { CloudtunError } from '../../domain/errors.ts';
import { nearestNames } from '../../domain/nearest.ts';
import type { Environment, World } from '../../runtime/world.ts';
import type { CloudSelection } from '../provider.ts';

/** The services we call, as AWS spells them in `AWS_ENDPOINT_URL_…` and in a `services` section. */
export const AWS_SERVICES = [
  'ssm',
  'ec2',
  'ec2_instance_connect',
  'rds',
  'sts',
  'sso_oidc',
  'secrets_manager',
  'iam',
  'sso_admin',
  'cloudwatch_logs',
  'kms',
  'cloudtrail',
] as const;
export type AwsService = (typeof AWS_SERVICES)[number];

type Section = Readonly<Record<string, string | undefined>>;

/** Where Identity Center lives, for a profile that signs in there. */
export interface SsoSettings {
  /** The `sso_session`; absent for the older form, where the profile itself holds the settings. */
  readonly sessionName?: string;
  readonly startUrl: string;
  readonly region: string;
  readonly scopes: readonly string[];
}

/** What flags, environment and AWS's shared files say about where to look, resolved once. */
export interface AwsSettings {
  /** As chosen by flag or AWS_PROFILE; undefined: the default profile, if there is one. */
  readonly profile: string | undefined;
  /** The keys of the profile, from both files. */
  readonly profileKeys: Section;
  readonly sso: SsoSettings | undefined;
  /** The paths of the shared files. */
  readonly files: { readonly filepath: string; readonly configFilepath: string };
  /** undefined when nothing names one; `requireRegion` then says so. */
  readonly region: string | undefined;
  /** `aws prod/ap-northeast-1` */
  readonly label: string;
  readonly useFips: boolean;
  readonly useDualstack: boolean;
  readonly maxAttempts: number | undefined;
  /** An endpoint that overrides the service's own; the same order of precedence as in the SDKs. */
  endpoint(service: AwsService): string | undefined;
}

/** The region, or CT_NO_REGION. */
export function requireRegion(settings: AwsSettings): string {
  if (settings.region !== undefined) return settings.region;
  const where = settings.profile === undefined ? 'the default profile' : `profile ${settings.profile}`;
  throw new CloudtunError('CT_NO_REGION', `no AWS region is set by flag, environment or ${where}`, {
    hint: 'name one with --region, in AWS_REGION, or as region in ~/.aws/config',
  });
}

const isTrue = (value: string | undefined) => value?.toLowerCase() === 'true';

/**
 * Reads the selection. Precedence: flag, AWS_PROFILE and AWS_REGION before AWS_DEFAULT_REGION, the profile's own region.
 *
 * @throws CT_NO_PROFILE when the named profile is in neither shared file
 */
export async function awsSettings(world: World, selection: CloudSelection): Promise<AwsSettings> {
  const { env } = world;
  const files = {
    filepath: env.AWS_SHARED_CREDENTIALS_FILE || join(world.paths.home, '.aws', 'credentials'),
    configFilepath: env.AWS_CONFIG_FILE || join(world.paths.home, '.aws', 'config'),
  };
  const { loadSharedConfigFiles } = await import('./sdk/shared-config.ts');
  const { configFile, credentialsFile } = await loadSharedConfigFiles({ ...files, ignoreCache: true });
  const profile = selection.profile || env.AWS_PROFILE || undefined;
  const name = profile ?? 'default';
  if (profile !== undefined && configFile[profile] === undefined && credentialsFile[profile] === undefined) {
    throw unknownProfile(profile, [...Object.keys(configFile), ...Object.keys(credentialsFile)], env);
  }
  const profileKeys: Section = { ...configFile[name], ...credentialsFile[name] };
  const region = selection.region || env.AWS_REGION || env.AWS_DEFAULT_REGION || profileKeys.region || undefined;
  const attempts = Number(env.AWS_MAX_ATTEMPTS || profileKeys.max_attempts);
  return {
    profile,
    profileKeys,
    sso: ssoSettings(profileKeys, configFile),
    files,
    region,
    label: `aws ${[profile, region].filter((part) => part !== undefined).join('/') || 'without a region'}`,
    useFips: isTrue(env.AWS_USE_FIPS_ENDPOINT ?? profileKeys.use_fips_endpoint),
    useDualstack: isTrue(env.AWS_USE_DUALSTACK_ENDPOINT ?? profileKeys.use_dualstack_endpoint),
    maxAttempts: Number.isInteger(attempts) && attempts > 0 ? attempts : undefined,
    endpoint: (service) => endpointOf(service, env, profileKeys, configFile),
  };
}

function endpointOf(
  service: AwsService,
  env: Environment,
  profileKeys: Section,
  sections: Readonly<Record<string, Section>>,
): string | undefined {
  if (isTrue(env.AWS_IGNORE_CONFIGURED_ENDPOINT_URLS ?? profileKeys.ignore_configured_endpoint_urls)) return undefined;
  const services = profileKeys.services === undefined ? undefined : sections[`services.${profileKeys.services}`];
  return (
    env[`AWS_ENDPOINT_URL_${service.toUpperCase()}`] ||
    env.AWS_ENDPOINT_URL ||
    services?.[`${service}.endpoint_url`] ||
    profileKeys.endpoint_url ||
    undefined
  );
}

function ssoSettings(profileKeys: Section, sections: Readonly<Record<string, Section>>): SsoSettings | undefined {
  const sessionName = profileKeys.sso_session;
  const section = sessionName === undefined ? profileKeys : sections[`sso-session.${sessionName}`];
  const startUrl = section?.sso_start_url;
  const region = section?.sso_region;
  if (startUrl === undefined || region === undefined) return undefined;
  const scopes = (section?.sso_registration_scopes ?? 'sso:account:access').split(/[,\s]+/).filter(Boolean);
  return { ...(sessionName === undefined ? {} : { sessionName }), startUrl, region, scopes };
}

function unknownProfile(profile: string, sections: readonly string[], env: Environment): CloudtunError {
  // Sections such as `sso-session.corp` are told from profiles by their dot prefix.
  const profiles = sections.filter((section) => !/^(sso-session|services)\./.test(section));
  const near = nearestNames(profile, profiles);
  return new CloudtunError('CT_NO_PROFILE', `there is no AWS profile "${profile}"`, {
    hint: [
      ...(near.length > 0 ? [`did you mean: ${near.join(', ')}`] : []),
      env.AWS_PROFILE === profile
        ? 'AWS_PROFILE names it; profiles live in ~/.aws/config and ~/.aws/credentials'
        : 'profiles live in ~/.aws/config and ~/.aws/credentials',
    ],
  });
}

import { join } from 'node:path';
import { writePrivateFile } from '../runtime/state-file.ts';
import type { Environment } from '../runtime/world.ts';
import { mfaSerial, roleArnOf } from './aws/api/sts-api.ts';
import type { Inventory } from './aws/inventory.ts';
import type { LabKey } from './aws/principals.ts';

/** What a shell or a process must set, and what it must not have, to use the lab. */
export interface LabEnvironment {
  readonly set: Readonly<Record<string, string>>;
  /** Variables that would win over the lab's: another profile, endpoints of single services. */
  readonly unset: readonly string[];
  /** For people, one line each: what no variable can say. */
  readonly notes?: readonly string[];
}

/** The keys that are written into the credentials file: profile name → key. `default` is alice. */
export type LabProfiles = Readonly<Record<string, LabKey>>;

interface LabFilesOptions {
  readonly directory: string;
  readonly url: string;
  readonly inventory: Inventory;
  readonly profiles: LabProfiles;
  readonly mfaCode: string;
  readonly webIdentityToken: string;
}

const SERVICES = [
  'SSM',
  'EC2',
  'EC2_INSTANCE_CONNECT',
  'RDS',
  'STS',
  'KMS',
  'SSO',
  'SSO_OIDC',
  'SSO_ADMIN',
  'IAM',
  'CLOUDTRAIL',
  'CLOUDWATCH_LOGS',
];
const UNSET = [
  'AWS_PROFILE',
  'AWS_DEFAULT_PROFILE',
  'AWS_SESSION_TOKEN',
  'AWS_SECURITY_TOKEN',
  'AWS_USE_FIPS_ENDPOINT',
  'AWS_USE_DUALSTACK_ENDPOINT',
  'AWS_IGNORE_CONFIGURED_ENDPOINT_URLS',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_ROLE_ARN',
  ...SERVICES.map((service) => `AWS_ENDPOINT_URL_${service}`),
];
const NO_PROXY_NAMES = ['NO_PROXY', 'no_proxy'];

/** Writes the shared AWS configuration files of the lab (0600) and says which variables lead a program to them. */
export function writeLabFiles(options: LabFilesOptions, env: Environment): LabEnvironment {
  const { directory, url, inventory, profiles } = options;
  const files = {
    config: join(directory, 'config'),
    credentials: join(directory, 'credentials'),
    token: join(directory, 'web-identity-token'),
  };
  writePrivateFile(files.token, options.webIdentityToken);
  writePrivateFile(files.credentials, credentialsFile(profiles));
  writePrivateFile(files.config, configFile(options, files.token));
  const main = profiles.default;
  if (main === undefined) throw new RangeError('the lab needs a default profile');
  return {
    set: {
      AWS_ENDPOINT_URL: url,
      AWS_ACCESS_KEY_ID: main.accessKeyId,
      AWS_SECRET_ACCESS_KEY: main.secretAccessKey.reveal(),
      ...(main.sessionToken === undefined ? {} : { AWS_SESSION_TOKEN: main.sessionToken.reveal() }),
      AWS_REGION: inventory.region,
      AWS_DEFAULT_REGION: inventory.region,
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_CONFIG_FILE: files.config,
      AWS_SHARED_CREDENTIALS_FILE: files.credentials,
      ...bypassProxies(env),
    },
    unset: main.sessionToken === undefined ? UNSET : UNSET.filter((name) => name !== 'AWS_SESSION_TOKEN'),
  };
}

/** An environment in which a program uses the lab. */
export function withLab(env: Environment, lab: LabEnvironment): Environment {
  const kept = Object.entries(env).filter(([name]) => !lab.unset.includes(name));
  return { ...Object.fromEntries(kept), ...lab.set };
}

/** Two clouds at once. */
export function joinEnvironments(one: LabEnvironment, other: LabEnvironment): LabEnvironment {
  return {
    set: { ...one.set, ...other.set },
    unset: [...one.unset, ...other.unset],
    notes: [...(one.notes ?? []), ...(other.notes ?? [])],
  };
}

/** The AWS CLI would send even loopback requests through a proxy. */
function bypassProxies(env: Environment): Readonly<Record<string, string>> {
  const hasProxy = ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy'].some((name) => env[name]);
  if (!hasProxy) return {};
  const name = NO_PROXY_NAMES.find((each) => env[each]) ?? 'NO_PROXY';
  return { [name]: [...(env[name] ? [env[name]] : []), '127.0.0.1', 'localhost'].join(',') };
}

function credentialsFile(profiles: LabProfiles): string {
  const sections = Object.entries(profiles).map(([name, key]) => {
    const lines = [
      `[${name}]`,
      `aws_access_key_id = ${key.accessKeyId}`,
      `aws_secret_access_key = ${key.secretAccessKey.reveal()}`,
    ];
    if (key.sessionToken !== undefined) lines.push(`aws_session_token = ${key.sessionToken.reveal()}`);
    return `${lines.join('\n')}\n`;
  });
  return `# Throwaway keys of the cloudtun lab. They work nowhere else, and not after it has stopped.\n${sections.join('\n')}`;
}

function configFile(options: LabFilesOptions, tokenFile: string): string {
  const { inventory, profiles, url } = options;
  const section = (title: string, lines: readonly string[]) =>
    `[${title}]\nregion = ${inventory.region}\n${lines.map((line) => `${line}\n`).join('')}`;
  const plain = Object.keys(profiles).map((name) => section(name === 'default' ? name : `profile ${name}`, []));
  const roles = inventory.roles.map((role) => {
    if (role.webIdentity) {
      return section(`profile ${role.name}`, [
        `role_arn = ${roleArnOf(inventory, role)}`,
        `web_identity_token_file = ${tokenFile}`,
      ]);
    }
    const [user = ''] = role.trustedUsers;
    return section(`profile ${role.name}`, [
      `role_arn = ${roleArnOf(inventory, role)}`,
      `source_profile = ${user}`,
      ...(role.requireMfa
        ? [`# its device shows ${options.mfaCode}`, `mfa_serial = ${mfaSerial(inventory, user)}`]
        : []),
    ]);
  });
  const sso = [
    section('profile sso', [
      'sso_session = lab',
      `sso_account_id = ${inventory.account}`,
      `sso_role_name = ${inventory.sso.permissionSet}`,
    ]),
    `[sso-session lab]\nsso_start_url = ${url}/start\nsso_region = ${inventory.region}\nsso_registration_scopes = sso:account:access\n`,
  ];
  return [...plain, ...roles, ...sso].join('\n');
}

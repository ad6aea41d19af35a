import { join } from 'node:path';
import { writePrivateFile } from '../../runtime/state-file.ts';
import type { LabEnvironment } from '../lab-environment.ts';
import { DEPLOYER, OPENER, PRACTICE_PROJECT_ID } from './practice-project.ts';
import type { ServiceAccountKey } from './service-account-keys.ts';

export interface GcpFilesOptions {
  /** A directory of the lab's own. */
  readonly directory: string;
  /** `http://127.0.0.1:4711`: every API. */
  readonly url: string;
  /** `wss://127.0.0.1:4711/v4` */
  readonly relayRoot: string;
  readonly authorityPem: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** Person or `expired` → refresh token. The first one is whom the lab's variables sign in. */
  readonly refreshTokens: Readonly<Record<string, string>>;
  /** An access token of the first person that outlives any lab. */
  readonly accessToken: string;
  readonly subjectToken: string;
  readonly audience: string;
  readonly account: string;
}

/** Application Default Credentials of the lab: kind or person → path. */
export type GcpProfiles = Readonly<Record<string, string>>;

export interface GcpFiles {
  readonly environment: LabEnvironment;
  readonly profiles: GcpProfiles;
  readonly authorityFile: string;
  /** Where the file of the service account key goes, once there is one. */
  readonly serviceAccountFile: string;
}

const UNSET = [
  'CLOUDSDK_ACTIVE_CONFIG_NAME',
  'CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE',
  'CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT',
  'CLOUDSDK_BILLING_QUOTA_PROJECT',
  'CLOUDSDK_COMPUTE_REGION',
  'CLOUDSDK_COMPUTE_ZONE',
  'CLOUDSDK_CONTEXT_AWARE_USE_CLIENT_CERTIFICATE',
  'CLOUDSDK_PROXY_ADDRESS',
  'CLOUDSDK_PROXY_PORT',
  'CLOUDSDK_PROXY_TYPE',
  'GCE_METADATA_IP',
  'GCLOUD_PROJECT',
  'GOOGLE_API_USE_CLIENT_CERTIFICATE',
  'GOOGLE_CLOUD_QUOTA_PROJECT',
];

/** Writes the credential files of the lab and a configuration folder for gcloud (0600), and says which variables lead there. */
export function writeGcpFiles(options: GcpFilesOptions): GcpFiles {
  const { directory, url, relayRoot, clientId, clientSecret } = options;
  const write = (name: string, text: string) => {
    const path = join(directory, name);
    writePrivateFile(path, text);
    return path;
  };
  const user = (refreshToken: string) => ({
    type: 'authorized_user',
    client_id: clientId,
    client_secret: clientSecret,
    refresh_token: refreshToken,
    token_uri: `${url}/oauth2/token`,
    universe_domain: 'googleapis.com',
  });
  const credentials = (name: string, content: object) => write(`${name}.json`, `${JSON.stringify(content, null, 2)}\n`);
  const subjectTokenFile = write('subject-token', options.subjectToken);
  const people = Object.entries(options.refreshTokens);
  const [first] = people;
  if (first === undefined) throw new RangeError('the lab needs a person');
  const actAs = `${url}/iamcredentials/v1/projects/-/serviceAccounts/${OPENER}:generateAccessToken`;
  const federation = {
    type: 'external_account',
    audience: options.audience,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: `${url}/sts/v1/token`,
    credential_source: { file: subjectTokenFile },
    universe_domain: 'googleapis.com',
  };
  const profiles: GcpProfiles = {
    ...Object.fromEntries(people.map(([name, token]) => [name, credentials(name, user(token))])),
    impersonated: credentials('impersonated', {
      type: 'impersonated_service_account',
      delegates: [],
      service_account_impersonation_url: actAs,
      source_credentials: user(first[1]),
    }),
    federated: credentials('federated', federation),
    'federated-impersonated': credentials('federated-impersonated', {
      ...federation,
      service_account_impersonation_url: actAs,
    }),
  };
  const authorityFile = write('ca.pem', options.authorityPem);
  write('gcloud/application_default_credentials.json', JSON.stringify(user(first[1])));
  write('gcloud/active_config', 'default');
  write(
    'gcloud/configurations/config_default',
    `[core]\nproject = ${PRACTICE_PROJECT_ID}\naccount = ${options.account}\n`,
  );
  const set = {
    GOOGLE_APPLICATION_CREDENTIALS: profiles[first[0]]!,
    GOOGLE_CLOUD_PROJECT: PRACTICE_PROJECT_ID,
    GCE_METADATA_HOST: url.replace('http://', ''),
    CLOUDTUN_IAP_ENDPOINT: relayRoot,
    CLOUDTUN_GCP_ENDPOINT: url,
    CLOUDTUN_GCP_CA_FILE: authorityFile,
    CLOUDSDK_CONFIG: join(directory, 'gcloud'),
    CLOUDSDK_CORE_PROJECT: PRACTICE_PROJECT_ID,
    CLOUDSDK_CORE_ACCOUNT: options.account,
    CLOUDSDK_CORE_DISABLE_PROMPTS: '1',
    CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE: authorityFile,
    CLOUDSDK_CORE_CHECK_GCE_METADATA: 'false',
    CLOUDSDK_CORE_DISABLE_USAGE_REPORTING: 'true',
    CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: write('access-token', options.accessToken),
    CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE: `${url}/compute/v1/`,
    CLOUDSDK_API_ENDPOINT_OVERRIDES_IAP: `${url}/iap/`,
    CLOUDSDK_API_ENDPOINT_OVERRIDES_OSLOGIN: `${url}/oslogin/`,
    CLOUDSDK_API_ENDPOINT_OVERRIDES_SQL: `${url}/sql/`,
  };
  return {
    environment: { set, unset: UNSET, notes: [gcloudNote(relayRoot)] },
    profiles,
    authorityFile,
    serviceAccountFile: join(directory, 'service-account.json'),
  };
}

/** The key file of a service account. */
export function writeServiceAccountFile(path: string, key: ServiceAccountKey, url: string): void {
  const content = {
    type: 'service_account',
    project_id: PRACTICE_PROJECT_ID,
    private_key_id: key.id,
    private_key: key.privateKeyPem,
    client_email: key.email,
    client_id: '100000000000000000001',
    token_uri: `${url}/oauth2/token`,
    universe_domain: 'googleapis.com',
  };
  writePrivateFile(path, `${JSON.stringify(content, null, 2)}\n`);
}

/** Whose key the service account file holds. */
export const KEY_ACCOUNT = DEPLOYER;

/** No variable tells gcloud where the tunnel service is. */
function gcloudNote(relayRoot: string): string {
  return `gcloud needs a flag, too: gcloud compute start-iap-tunnel web-1 80 --zone=asia-northeast1-a --iap-tunnel-url-override=${relayRoot}`;
}

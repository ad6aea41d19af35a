import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CloudtunError, systemCode } from '../../domain/errors.ts';
import { loadSqlite } from '../../runtime/sqlite.ts';
import type { World } from '../../runtime/world.ts';
import { adcPath } from './gcloud-folder.ts';
import type { GcpSettings } from './gcp-settings.ts';

/** A credential as Google's tools write it: JSON with a `type` (docs/guides/google-cloud.md lists them). */
export type CredentialJson = Readonly<Record<string, unknown>> & { readonly type: string };

/** Where credentials come from. `where` is for people, such as `application default credentials`. */
export type CredentialOrigin =
  | { readonly kind: 'json'; readonly json: CredentialJson; readonly where: string }
  /** A file that holds nothing but an access token. */
  | { readonly kind: 'token-file'; readonly path: string }
  | { readonly kind: 'metadata' };

export const SIGN_IN_HINTS: readonly string[] = [
  'sign in with: gcloud auth application-default login',
  'or name a credential file (service account key, workload identity federation) in GOOGLE_APPLICATION_CREDENTIALS',
];

/**
 * Where this run's credentials come from. GOOGLE_APPLICATION_CREDENTIALS as in every program that uses them; gcloud's
 * `auth/access_token_file`; the application default credentials; the metadata server. With CLOUDTUN_GCLOUD_AUTH what gcloud itself
 * would use, and nothing else.
 *
 * @throws CT_NO_CREDENTIALS, CT_CONFIG (a file that is none of Google's)
 */
export async function findCredential(world: World, settings: GcpSettings): Promise<CredentialOrigin> {
  const { accessTokenFile } = settings;
  const named = settings.mayUseGcloudLogin ? undefined : world.env.GOOGLE_APPLICATION_CREDENTIALS;
  if (named) {
    const json = await readCredential(named, 'GOOGLE_APPLICATION_CREDENTIALS');
    return { kind: 'json', json, where: 'GOOGLE_APPLICATION_CREDENTIALS' };
  }
  if (accessTokenFile !== undefined) return { kind: 'token-file', path: accessTokenFile };
  if (settings.mayUseGcloudLogin) return gcloudLogin(settings);
  const usual = adcPath(world);
  if (existsSync(usual)) {
    const where = 'application default credentials';
    return { kind: 'json', json: await readCredential(usual, where), where };
  }
  return { kind: 'metadata' };
}

async function readCredential(path: string, where: string): Promise<CredentialJson> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const why = systemCode(error) === 'ENOENT' ? 'does not exist' : `cannot be read (${systemCode(error) ?? '?'})`;
    throw new CloudtunError('CT_NO_CREDENTIALS', `the credential file of ${where} ${why}: ${path}`, {
      hint: [...SIGN_IN_HINTS],
      cause: error,
    });
  }
  return parseCredential(text, path);
}

/** @throws CT_CONFIG; the cause is left out, because a parser quotes what it read */
function parseCredential(text: string, where: string): CredentialJson {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    parsed = undefined;
  }
  if (typeof parsed === 'object' && parsed !== null && 'type' in parsed && typeof parsed.type === 'string') {
    return parsed as CredentialJson;
  }
  throw new CloudtunError('CT_CONFIG', `${where} is no credential file of Google Cloud`, {
    hint: 'it should hold JSON with a "type", as gcloud and the Cloud Console write it',
  });
}

/** What `gcloud auth login` left: read, never written. */
async function gcloudLogin({ account, gcloud }: GcpSettings): Promise<CredentialOrigin> {
  if (account === undefined) {
    throw new CloudtunError('CT_NO_CREDENTIALS', 'CLOUDTUN_GCLOUD_AUTH is set, but gcloud has no active account', {
      hint: 'sign in with: gcloud auth login',
    });
  }
  const where = `gcloud login of ${account}`;
  const file = join(gcloud.folder, 'legacy_credentials', account, 'adc.json');
  if (existsSync(file)) return { kind: 'json', json: await readCredential(file, where), where };
  const value = storedCredential(join(gcloud.folder, 'credentials.db'), account);
  if (value === undefined) {
    throw new CloudtunError('CT_NO_CREDENTIALS', `gcloud has no credentials of ${account}`, {
      hint: 'sign in with: gcloud auth login',
    });
  }
  return { kind: 'json', json: parseCredential(value, where), where };
}

function storedCredential(path: string, account: string): string | undefined {
  if (!existsSync(path)) return undefined;
  const { DatabaseSync } = loadSqlite();
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const row = database.prepare('SELECT value FROM credentials WHERE account_id = ?').get(account);
    const value = row?.value;
    return value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : value?.toString();
  } catch (error) {
    throw new CloudtunError('CT_NO_CREDENTIALS', `gcloud's credentials.db cannot be read: ${path}`, {
      hint: 'leave out CLOUDTUN_GCLOUD_AUTH and sign in with: gcloud auth application-default login',
      cause: error,
    });
  } finally {
    database.close();
  }
}

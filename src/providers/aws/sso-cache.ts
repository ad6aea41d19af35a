import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Millis } from '../../domain/millis.ts';
import { isoTime, parseIsoTime } from '../../runtime/iso-time.ts';
import type { Paths } from '../../runtime/paths.ts';
import { writePrivateFile } from '../../runtime/state-file.ts';
import type { SsoSettings } from './aws-settings.ts';

/** What a sign-in gives, in the words of the file that the SDKs and the AWS CLI share. The tokens are secrets: never print one. */
export interface SsoToken {
  readonly startUrl: string;
  readonly region: string;
  readonly accessToken: string;
  readonly expiresAt: Millis;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly registrationExpiresAt: Millis;
  /** Lets the SDK renew the access token without a person; Identity Center gives one for an sso_session only. */
  readonly refreshToken?: string;
}

/** The file is named after the session, or after the start URL in the older form of configuration. */
export function ssoCachePath(paths: Paths, sso: SsoSettings): string {
  const key = createHash('sha1')
    .update(sso.sessionName ?? sso.startUrl)
    .digest('hex');
  return join(paths.home, '.aws', 'sso', 'cache', `${key}.json`);
}

/** Writes the token where the SDK's SSO provider looks for it, whole or not at all, for its owner's eyes only. */
export function writeSsoToken(path: string, token: SsoToken): void {
  const { expiresAt, registrationExpiresAt, ...rest } = token;
  const times = { expiresAt: isoTime(expiresAt), registrationExpiresAt: isoTime(registrationExpiresAt) };
  writePrivateFile(path, `${JSON.stringify({ ...rest, ...times }, undefined, 2)}\n`);
}

/** Whether somebody is signed in: what to tell a person when the SDK, which only has words for it, gave no credentials. */
export async function ssoTokenState(path: string, now: Millis): Promise<'absent' | 'expired' | 'valid'> {
  try {
    const token: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof token !== 'object' || token === null || !('expiresAt' in token)) return 'absent';
    const expiresAt = parseIsoTime(String(token.expiresAt));
    return expiresAt === undefined || expiresAt <= now ? 'expired' : 'valid';
  } catch {
    return 'absent';
  }
}

import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { Millis } from '../../domain/millis.ts';
import type { AccessKey } from './sigv4-check.ts';

/**
 * Checks a token of RDS for a database login: a presigned `GET https://HOST:PORT/?Action=connect&DBUser=USER` of the service `rds-db`
 * without its scheme. Written from the published specification and not from the signer that cloudtun uses. Gives the login that the
 * token is for, whose host, port and user the database compares with its own.
 */
export interface TokenLogin {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Who signed it, and for which region. */
  readonly accessKeyId: string;
  readonly region: string;
}

const LONGEST: Millis = 15 * 60_000;

/** Undefined: no token, one of an unknown key, forged, or out of time. @param now wall clock */
export function checkRdsToken(
  token: string,
  findKey: (accessKeyId: string) => AccessKey | undefined,
  now: Millis,
): TokenLogin | undefined {
  if (!URL.canParse(`https://${token}`)) return undefined;
  const url = new URL(`https://${token}`);
  const query = url.searchParams;
  const [accessKeyId = '', day = '', region = '', service, end] = (query.get('X-Amz-Credential') ?? '').split('/');
  const key = findKey(accessKeyId);
  const stamp = query.get('X-Amz-Date') ?? '';
  const signedAt = Date.parse(stamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
  const lifetime = Math.min(LONGEST, Number(query.get('X-Amz-Expires')) * 1_000);
  const isInTime = now >= signedAt - LONGEST / 3 && now <= signedAt + lifetime;
  if (key === undefined || service !== 'rds-db' || end !== 'aws4_request' || !isInTime) return undefined;
  if (query.get('Action') !== 'connect' || query.get('X-Amz-SignedHeaders') !== 'host') return undefined;
  if ((query.get('X-Amz-Security-Token') ?? undefined) !== key.sessionToken?.reveal()) return undefined;
  if (key.expiresAt !== undefined && key.expiresAt <= now) return undefined;

  const pairs = [...query]
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => [encode(name), encode(value)]);
  pairs.sort(([a = ''], [b = '']) => (a < b ? -1 : 1));
  const canonical = [
    'GET',
    '/',
    pairs.map((pair) => pair.join('=')).join('&'),
    `host:${url.host}\n`,
    'host',
    sha256(''),
  ];
  const scope = `${day}/${region}/rds-db/aws4_request`;
  let signing: Buffer | string = `AWS4${key.secretAccessKey.reveal()}`;
  for (const part of scope.split('/')) signing = createHmac('sha256', signing).update(part).digest();
  const text = ['AWS4-HMAC-SHA256', stamp, scope, sha256(canonical.join('\n'))].join('\n');
  const signature = createHmac('sha256', signing).update(text).digest('hex');
  const given = query.get('X-Amz-Signature') ?? '';
  const isRight = timingSafeEqual(Buffer.from(sha256(given)), Buffer.from(sha256(signature)));
  if (!isRight) return undefined;
  return { host: url.hostname, port: Number(url.port), user: query.get('DBUser') ?? '', accessKeyId, region };
}

const sha256 = (data: string): string => createHash('sha256').update(data).digest('hex');

const encode = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);

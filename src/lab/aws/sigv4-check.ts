import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { Millis } from '../../domain/millis.ts';
import type { Secret } from '../../domain/secret.ts';
import { isoTime } from '../../runtime/iso-time.ts';

/**
 * Checks AWS Signature Version 4 in its header form, for API calls and for the signed websocket upgrade (service `ssmmessages`).
 * Written from the published specification and not from the signer that cloudtun uses, so that a mistake there shows here.
 * Left out on purpose: query-string (presigned) signatures, chunked payloads, and SigV4A.
 */

const ALGORITHM = 'AWS4-HMAC-SHA256';
const MINUTE: Millis = 60_000;
/** How far the clocks may differ (documented: 15 minutes at STS and IAM, 5 minutes elsewhere). */
const SKEW: Readonly<Record<string, Millis>> = { sts: 15 * MINUTE, iam: 15 * MINUTE };
const USUAL_SKEW: Millis = 5 * MINUTE;

/** An access key that the lab gave out. */
export interface AccessKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: Secret;
  /** Only temporary credentials have one; it must then come with every request. */
  readonly sessionToken?: Secret;
  /** Wall clock; absent: never. */
  readonly expiresAt?: Millis;
}

export interface SignedRequest {
  readonly method: string;
  /** Path and query exactly as in the request line. */
  readonly target: string;
  /** Lower-case names, as Node gives them. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Uint8Array;
}

export interface CredentialScope {
  readonly region: string;
  readonly service: string;
}

/** What is wrong with a request, for each API protocol to put in its own words (aws-fault.ts). */
export type SigV4Problem =
  | 'missing'
  | 'incomplete'
  | 'unknown-key'
  | 'bad-token'
  | 'expired-token'
  | 'skew'
  | 'mismatch';

export type SigV4Verdict<Key extends AccessKey> =
  | { readonly ok: true; readonly key: Key; readonly scope: CredentialScope }
  | { readonly ok: false; readonly problem: SigV4Problem; readonly message: string };

interface Authorization extends CredentialScope {
  readonly accessKeyId: string;
  readonly day: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
}

/** The service and region that a request claims to be signed for; unchecked, good enough for routing. */
export function claimedScope(headers: SignedRequest['headers']): CredentialScope | undefined {
  const authorization = parseAuthorization(header(headers, 'authorization') ?? '');
  return typeof authorization === 'string'
    ? undefined
    : { region: authorization.region, service: authorization.service };
}

/**
 * @param findKey gives the key for an access key id, if the lab knows it
 * @param now wall clock
 */
export function checkSigV4<Key extends AccessKey>(
  request: SignedRequest,
  findKey: (accessKeyId: string) => Key | undefined,
  now: Millis,
): SigV4Verdict<Key> {
  const refuse = (problem: SigV4Problem, message: string): SigV4Verdict<Key> => ({ ok: false, problem, message });
  const line = header(request.headers, 'authorization');
  if (line === undefined) return refuse('missing', 'Missing Authentication Token');
  const authorization = parseAuthorization(line);
  if (typeof authorization === 'string') return refuse('incomplete', authorization);

  const stamp = header(request.headers, 'x-amz-date') ?? '';
  const signedAt = parseStamp(stamp);
  if (signedAt === undefined) {
    return refuse(
      'incomplete',
      `Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ${line}`,
    );
  }
  if (!authorization.signedHeaders.includes('host')) {
    return refuse('mismatch', "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
  }
  if (!stamp.startsWith(authorization.day)) {
    return refuse(
      'mismatch',
      `Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '${authorization.day}' != '${stamp.slice(0, 8)}', from '${stamp}'.`,
    );
  }
  const key = findKey(authorization.accessKeyId);
  if (key === undefined) return refuse('unknown-key', 'The security token included in the request is invalid.');
  if (!sameToken(key, header(request.headers, 'x-amz-security-token'))) {
    return refuse('bad-token', 'The security token included in the request is invalid.');
  }
  if (!equalText(signatureOf(request, authorization, stamp, key), authorization.signature)) {
    return refuse(
      'mismatch',
      'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.',
    );
  }
  const skew = SKEW[authorization.service] ?? USUAL_SKEW;
  if (Math.abs(now - signedAt) > skew) return refuse('skew', skewMessage(stamp, signedAt, now, skew));
  if (key.expiresAt !== undefined && key.expiresAt <= now) {
    return refuse('expired-token', 'The security token included in the request is expired');
  }
  return { ok: true, key, scope: { region: authorization.region, service: authorization.service } };
}

/** `20261122T132400Z` as wall-clock milliseconds. */
function parseStamp(stamp: string): Millis | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(stamp);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

function formatStamp(at: Millis): string {
  return `${isoTime(at).slice(0, 19).replace(/[-:]/g, '')}Z`;
}

function skewMessage(stamp: string, signedAt: Millis, now: Millis, skew: Millis): string {
  const allowed = `${skew / MINUTE} min.`;
  return signedAt < now
    ? `Signature expired: ${stamp} is now earlier than ${formatStamp(now - skew)} (${formatStamp(now)} - ${allowed})`
    : `Signature not yet current: ${stamp} is still later than ${formatStamp(now + skew)} (${formatStamp(now)} + ${allowed})`;
}

/** The parts of an Authorization header, or a sentence saying what is missing. */
function parseAuthorization(line: string): Authorization | string {
  if (!line.startsWith(`${ALGORITHM} `)) return `Unsupported AWS 'algorithm': '${line.split(' ')[0]}'.`;
  const fields = new Map<string, string>();
  for (const part of line.slice(ALGORITHM.length + 1).split(',')) {
    const at = part.indexOf('=');
    if (at > 0) fields.set(part.slice(0, at).trim(), part.slice(at + 1).trim());
  }
  for (const name of ['Credential', 'Signature', 'SignedHeaders']) {
    if (!fields.get(name)) return `Authorization header requires '${name}' parameter. ${line}`;
  }
  const scope = fields.get('Credential')!.split('/');
  const [accessKeyId, day, region, service, terminator] = scope;
  if (scope.length !== 5 || terminator !== 'aws4_request' || !accessKeyId || !day || !region || !service) {
    return `Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '${fields.get('Credential')}'`;
  }
  const signedHeaders = fields.get('SignedHeaders')!.split(';');
  return { accessKeyId, day, region, service, signedHeaders, signature: fields.get('Signature')! };
}

function sameToken(key: AccessKey, token: string | undefined): boolean {
  if (key.sessionToken === undefined || token === undefined)
    return key.sessionToken === undefined && token === undefined;
  return equalText(key.sessionToken.reveal(), token);
}

function signatureOf(request: SignedRequest, authorization: Authorization, stamp: string, key: AccessKey): string {
  const scope = `${authorization.day}/${authorization.region}/${authorization.service}/aws4_request`;
  const canonical = canonicalRequest(request, authorization.signedHeaders);
  const textToSign = [ALGORITHM, stamp, scope, sha256(canonical)].join('\n');
  let signingKey: Buffer | string = `AWS4${key.secretAccessKey.reveal()}`;
  for (const part of scope.split('/')) signingKey = createHmac('sha256', signingKey).update(part).digest();
  return createHmac('sha256', signingKey).update(textToSign).digest('hex');
}

function canonicalRequest(request: SignedRequest, signedHeaders: readonly string[]): string {
  const [path = '/', query = ''] = splitOnce(request.target, '?');
  const headers = signedHeaders.map((name) => `${name}:${canonicalHeader(request.headers[name])}\n`).join('');
  // The hash is always made from the body that came; a client's own x-amz-content-sha256 is signed as a header where present.
  return [
    request.method,
    canonicalPath(path),
    canonicalQuery(query),
    headers,
    signedHeaders.join(';'),
    sha256(request.body),
  ].join('\n');
}

/** Every service but S3 encodes the path once more than it stands in the request line. */
function canonicalPath(path: string): string {
  return path.split('/').map(encode).join('/') || '/';
}

function canonicalQuery(query: string): string {
  if (query === '') return '';
  return query
    .split('&')
    .map((pair) => splitOnce(pair, '='))
    .map(([name = '', value = '']): [string, string] => [encode(decode(name)), encode(decode(value))])
    .sort(([a, x], [b, y]) => compare(a, b) || compare(x, y))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

function canonicalHeader(value: string | readonly string[] | undefined): string {
  const values = value === undefined ? [] : typeof value === 'string' ? [value] : value;
  return values.map((one) => one.trim().replace(/\s+/g, ' ')).join(',');
}

/** RFC 3986: all but unreserved characters. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function splitOnce(text: string, separator: string): [string, string] | [string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex');

/** Compares in a time that does not depend on where the two differ. */
function equalText(a: string, b: string): boolean {
  return timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest());
}

function header(headers: SignedRequest['headers'], name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : value?.[0];
}

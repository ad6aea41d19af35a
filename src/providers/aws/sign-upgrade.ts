import type { Millis } from '../../domain/millis.ts';
import type { AwsCredentials } from './credentials.ts';
import { SignatureV4 } from './sdk/signature.ts';
import { Sha256 } from './sha256.ts';

/** The service that data channels belong to (docs/protocol/ssm.md, "Signed upgrade"). */
const SERVICE = 'ssmmessages';

/** A URL that carries its signature already is left alone, as the vendor's client does. */
const PRESIGNED = /^X-Amz-(Algorithm|Credential|Date|Expires|SignedHeaders|Signature|Security-Token)$/i;

/**
 * The query as names and values, percent-decoded only: `+` in the raw base64 of `cell-number` is a plus and no blank, and becomes
 * `%2B` in the canonical query. This is the one place to change should AWS turn out to read it as a blank.
 */
function queryOf(url: URL): Record<string, string[]> {
  const query: Record<string, string[]> = {};
  for (const pair of url.search.slice(1).split('&').filter(Boolean)) {
    const equals = pair.indexOf('=');
    const name = decodeURIComponent(equals < 0 ? pair : pair.slice(0, equals));
    query[name] = [...(query[name] ?? []), equals < 0 ? '' : decodeURIComponent(pair.slice(equals + 1))];
  }
  return query;
}

/**
 * Headers that sign the opening GET of a websocket, for the host and port that are dialled. None when the URL is signed already.
 *
 * @param url `wss://…` as dialled
 * @param now wall clock
 * @throws URIError and what the signer throws; the caller goes on unsigned then
 */
export async function upgradeHeaders(
  url: URL,
  region: string,
  credentials: AwsCredentials,
  now: Millis,
): Promise<Record<string, string>> {
  const query = queryOf(url);
  if (Object.keys(query).some((name) => PRESIGNED.test(name))) return {};
  const signer = new SignatureV4({ service: SERVICE, region, credentials, sha256: Sha256, applyChecksum: false });
  const request = {
    method: 'GET',
    protocol: url.protocol,
    hostname: url.hostname,
    ...(url.port === '' ? {} : { port: Number(url.port) }),
    path: url.pathname,
    query,
    headers: { host: url.host },
  };
  // A number is taken as seconds since 1970.
  const { host: _, ...headers } = (await signer.sign(request, { signingDate: now / 1_000 })).headers;
  return headers;
}

import { CloudtunError, systemCode } from '../domain/errors.ts';

/** What OpenSSL and Node call a certificate that is not trusted, by code and never by words. */
const TLS_CODES: ReadonlySet<string> = new Set([
  'CERT_CHAIN_TOO_LONG',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REJECTED',
  'CERT_REVOKED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'HOSTNAME_MISMATCH',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

const NETWORK_SENTENCES: Readonly<Record<string, string>> = {
  EAI_AGAIN: 'its name cannot be resolved now',
  ECONNABORTED: 'the connection was aborted',
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was reset',
  EHOSTDOWN: 'the host is down',
  EHOSTUNREACH: 'there is no route to the host',
  ENETDOWN: 'the network is down',
  ENETUNREACH: 'the network cannot be reached',
  ENOTFOUND: 'its name does not exist',
  EPIPE: 'the connection broke',
  ETIMEDOUT: 'it did not answer in time',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS',
  EPROTO: 'the TLS handshake failed',
};

export const CA_HINT =
  'a corporate proxy may re-sign TLS: name its CA bundle (PEM) in AWS_CA_BUNDLE or NODE_EXTRA_CA_CERTS';

/** The code of a failed connection, also when it is wrapped in an AggregateError (several addresses tried) or as a cause. */
function connectionCode(thrown: unknown, depth = 0): string | undefined {
  const code = systemCode(thrown);
  if (code !== undefined && (TLS_CODES.has(code) || code in NETWORK_SENTENCES)) return code;
  if (depth > 4 || !(thrown instanceof Error)) return undefined;
  const inner: unknown[] = thrown instanceof AggregateError ? [...thrown.errors, thrown.cause] : [thrown.cause];
  for (const error of inner) {
    const found = connectionCode(error, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * A failure of a connection as CT_TLS or CT_NETWORK; a CloudtunError (such as the CT_PROXY of our proxy agents) as it is; undefined
 * when it is no failure of a connection.
 *
 * @param to what was being reached, for people: `ssm.eu-west-1.amazonaws.com`
 */
export function asNetworkError(thrown: unknown, to: string): CloudtunError | undefined {
  if (thrown instanceof CloudtunError) return thrown;
  const code = connectionCode(thrown);
  if (code === undefined) return undefined;
  if (TLS_CODES.has(code)) {
    return new CloudtunError('CT_TLS', `the certificate of ${to} is not trusted (${code})`, {
      hint: CA_HINT,
      cause: thrown,
    });
  }
  return new CloudtunError('CT_NETWORK', `cannot reach ${to}: ${NETWORK_SENTENCES[code]} (${code})`, {
    hint: 'check the network, and HTTPS_PROXY and NO_PROXY if you are behind a proxy',
    cause: thrown,
  });
}

/** Why a websocket could not be opened, as CloudtunErrors: by code and status, never by words. */
import { CloudtunError, systemCode } from '../../domain/errors.ts';

const TLS_CODES: ReadonlySet<string> = new Set([
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

/** A status instead of 101, for callers that know no more of their service. */
export function upgradeRefused(host: string, status: number): CloudtunError {
  if (status === 407) {
    return new CloudtunError('CT_PROXY', `the proxy on the way to ${host} wants a user and password (HTTP 407)`, {
      hint: 'put them into HTTPS_PROXY: http://user:password@proxy:port',
    });
  }
  return new CloudtunError('CT_UPGRADE_REFUSED', `${host} refused the websocket with HTTP ${status}`, {
    hint: 'a proxy on the way may not let websockets through; name it in HTTPS_PROXY or except the host in NO_PROXY',
  });
}

/** 101, but without the protocol that was asked for. */
export function protocolRefused(host: string): CloudtunError {
  return new CloudtunError(
    'CT_PROTO_HANDSHAKE',
    `${host} opened a websocket, but not for the protocol that was asked for`,
    {
      hint: 'something on the way may answer in its place; except the host from proxies with NO_PROXY',
    },
  );
}

/** An error before the websocket was open. */
export function connectFailure(host: string, error: Error): CloudtunError {
  if (error instanceof CloudtunError) return error;
  const code = systemCode(error);
  if (code !== undefined && TLS_CODES.has(code)) {
    return new CloudtunError('CT_TLS', `the certificate of ${host} is not trusted (${code})`, {
      hint: 'if your network inspects TLS, name its CA bundle in AWS_CA_BUNDLE or NODE_EXTRA_CA_CERTS',
      cause: error,
    });
  }
  return new CloudtunError('CT_NETWORK', `cannot reach ${host}${code === undefined ? '' : ` (${code})`}`, {
    hint: 'check the network, and HTTPS_PROXY if this network needs a proxy',
    cause: error,
  });
}

/** Why a websocket could not be opened, as CloudtunErrors: by code and status, never by words. */
import type { IncomingHttpHeaders } from 'node:http';
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

/** A status instead of 101. */
export function upgradeRefused(host: string, status: number, headers: IncomingHttpHeaders): CloudtunError {
  if (status === 407) {
    return new CloudtunError('CT_PROXY', `the proxy on the way to ${host} wants a user and password (HTTP 407)`, {
      hint: 'put them into HTTPS_PROXY: http://user:password@proxy:port',
    });
  }
  const requestId = headers['x-amzn-requestid'];
  return new CloudtunError('CT_UPGRADE_REFUSED', `${host} refused the websocket with HTTP ${status}`, {
    ...(typeof requestId === 'string' ? { details: [['request', requestId]] } : {}),
    hint:
      status === 403
        ? 'the identity may lack ssmmessages:OpenDataChannel, or a proxy on the way refuses websockets'
        : 'a proxy on the way may not let websockets through; name it in HTTPS_PROXY or except the host in NO_PROXY',
  });
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

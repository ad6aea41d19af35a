import { CloudtunError } from '../../domain/errors.ts';
import { isLoopbackHost } from '../../runtime/proxy-rules.ts';
import type { Environment } from '../../runtime/world.ts';

/**
 * The root that `/connect` and `/reconnect` are appended to (docs/protocol/iap.md, "Reaching the service"). CLOUDTUN_IAP_ENDPOINT
 * names another one; without TLS only on loopback, because the token goes there.
 *
 * @throws CT_CONFIG for an override that is no websocket address
 */
export function relayRoot(env: Environment, universe: string, hasClientCertificate: boolean): string {
  const override = env.CLOUDTUN_IAP_ENDPOINT;
  if (override) return checked(override);
  // No other universe has a variant of the name for client certificates.
  if (universe !== 'googleapis.com') return `wss://tunnel-cloudproxy.${universe}/v4`;
  return `wss://${hasClientCertificate ? 'mtls.' : ''}tunnel.cloudproxy.app/v4`;
}

function checked(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['wss:', 'ws:'].includes(url.protocol) || url.username !== '') {
    throw new CloudtunError('CT_CONFIG', 'CLOUDTUN_IAP_ENDPOINT is not the address of a relay', {
      hint: 'write it as wss://host[:port]/v4',
    });
  }
  if (url.protocol === 'ws:' && !isLoopbackHost(url.hostname)) {
    throw new CloudtunError('CT_CONFIG', `CLOUDTUN_IAP_ENDPOINT names ${url.host} without TLS`, {
      hint: 'access tokens go to other machines over wss only; ws:// is for loopback',
    });
  }
  // As gcloud takes its own override: an empty path is the usual one, query and fragment mean nothing.
  const path = url.pathname.replace(/\/+$/, '') || '/v4';
  return `${url.protocol}//${url.host}${path}`;
}

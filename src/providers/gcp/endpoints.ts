import { CloudtunError } from '../../domain/errors.ts';
import { isLoopbackHost } from '../../runtime/proxy-rules.ts';
import type { Environment } from '../../runtime/world.ts';
import type { GcloudConfig } from './gcloud-config.ts';

/** The services we call. Paths begin with the version: `/v1/projects/…`, `/token`. */
export type GcpService =
  | 'compute'
  | 'sql'
  | 'iap'
  | 'oauth2'
  | 'tokeninfo'
  | 'iamcredentials'
  | 'sts'
  | 'oslogin'
  | 'secretmanager'
  | 'iam'
  | 'cloudresourcemanager'
  | 'logging'
  | 'metadata';

interface Place {
  /** The first label of the host, or the whole of a host that no universe changes. */
  readonly host: string;
  /** What comes before the version there. */
  readonly path?: string;
  /** What comes before the version below CLOUDTUN_GCP_ENDPOINT. */
  readonly below: string;
}

const PLACES: Readonly<Record<Exclude<GcpService, 'metadata'>, Place>> = {
  compute: { host: 'compute', path: '/compute', below: '/compute' },
  sql: { host: 'sqladmin', below: '/sql' },
  iap: { host: 'iap', below: '/iap' },
  oauth2: { host: 'oauth2', below: '/oauth2' },
  tokeninfo: { host: 'www', path: '/oauth2/v3', below: '/oauth2/v3' },
  iamcredentials: { host: 'iamcredentials', below: '/iamcredentials' },
  sts: { host: 'sts', below: '/sts' },
  oslogin: { host: 'oslogin', below: '/oslogin' },
  secretmanager: { host: 'secretmanager', below: '/secretmanager' },
  iam: { host: 'iam', below: '/iam' },
  logging: { host: 'logging', below: '/logging' },
  cloudresourcemanager: { host: 'cloudresourcemanager', below: '/cloudresourcemanager' },
};

export interface Endpoints {
  /** `compute`, `/v1/projects/acme` → https://compute.googleapis.com/compute/v1/projects/acme */
  url(service: GcpService, path: string): URL;
  /** A URL that the auth library has built in, where a service of ours is somewhere else; any other as it is. */
  redirect(url: URL): URL;
  /** Where requests without TLS may go: loopback, and metadata servers, which speak nothing else. */
  mayBePlain(url: URL): boolean;
  /** The service's own name for people: `compute.googleapis.com`. */
  apiName(service: GcpService): string;
  /** CLOUDTUN_GCP_ENDPOINT, without a slash at its end. */
  readonly override: string | undefined;
}

/**
 * Where each service is. CLOUDTUN_GCP_ENDPOINT replaces scheme and host of all, with the service's name as first part of the path;
 * gcloud's own `api_endpoint_overrides` for compute, sql and iap win over it.
 *
 * @throws CT_CONFIG for an override that is no URL, or one without TLS that is not loopback
 */
export function gcpEndpoints(env: Environment, config: GcloudConfig, universe: string): Endpoints {
  const override = checkedBase('CLOUDTUN_GCP_ENDPOINT', env.CLOUDTUN_GCP_ENDPOINT || undefined);
  const single = new Map(
    (['compute', 'sql', 'iap'] as const).map((service) => {
      const value = config.get('api_endpoint_overrides', service);
      // gcloud's overrides end with the version where the service's usual address does.
      return [service, checkedBase(`api_endpoint_overrides/${service}`, value)?.replace(/\/v\d+$/, '')] as const;
    }),
  );
  const metadataHost = env.GCE_METADATA_HOST || env.GCE_METADATA_IP || 'metadata.google.internal';

  const usualHost = (service: Exclude<GcpService, 'metadata'>) => `${PLACES[service].host}.${universe}`;
  const base = (service: GcpService): string => {
    if (service === 'metadata') return `http://${metadataHost}/computeMetadata`;
    const place = PLACES[service];
    const own = service === 'compute' || service === 'sql' || service === 'iap' ? single.get(service) : undefined;
    if (own !== undefined) return own;
    return override === undefined ? `https://${usualHost(service)}${place.path ?? ''}` : override + place.below;
  };
  const plainHosts = [`http://${metadataHost}`].map((text) => (URL.canParse(text) ? new URL(text).hostname : ''));

  return {
    override,
    url: (service, path) => new URL(base(service) + path),
    redirect(url) {
      const service = (Object.keys(PLACES) as (keyof typeof PLACES)[]).find((each) => usualHost(each) === url.hostname);
      if (service === undefined || service === 'tokeninfo') return url;
      const rest = url.pathname.slice((PLACES[service].path ?? '').length);
      return new URL(base(service) + rest + url.search);
    },
    mayBePlain: ({ hostname }) =>
      isLoopbackHost(hostname) || plainHosts.includes(hostname) || hostname === '169.254.169.254',
    apiName: (service) => (service === 'metadata' ? 'the metadata server' : usualHost(service)),
  };
}

function checkedBase(name: string, value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol) || url.search !== '' || url.username !== '') {
    throw new CloudtunError('CT_CONFIG', `${name} is not the address of an API`, {
      hint: 'write it as https://host[:port][/path]',
    });
  }
  if (url.protocol === 'http:' && !isLoopbackHost(url.hostname)) {
    throw new CloudtunError('CT_CONFIG', `${name} names ${url.host} without TLS`, {
      hint: 'access tokens go to other machines over https only; http:// is for loopback',
    });
  }
  return url.href.replace(/\/+$/, '');
}

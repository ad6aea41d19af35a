import { CloudtunError } from '../../domain/errors.ts';
import type { Environment, World } from '../../runtime/world.ts';
import type { CloudSelection } from '../provider.ts';
import { type Endpoints, gcpEndpoints } from './endpoints.ts';
import { type GcloudConfig, gcloudConfig } from './gcloud-config.ts';

const DEFAULT_UNIVERSE = 'googleapis.com';

/** What flags, environment and gcloud's configuration say about where to look and who to be, resolved once. */
export interface GcpSettings {
  /** The projects that are searched, in order; empty when nothing names one: then the credential's own. */
  readonly projects: readonly string[];
  readonly zone: string | undefined;
  readonly region: string | undefined;
  /** `gcp acme/europe-west4-a` */
  readonly label: string;
  /** gcloud's account, for its own login. */
  readonly account: string | undefined;
  /** Service accounts to act as, the last one in the end, each one before it a delegate. */
  readonly impersonate: readonly string[];
  /** Sent with REST calls, never with a tunnel, as gcloud does. */
  readonly quotaProject: string | undefined;
  readonly accessTokenFile: string | undefined;
  /** `googleapis.com`, or that of another universe. */
  readonly universe: string;
  /** From CLOUDSDK_CORE_REQUEST_REASON; `--reason` comes before it. */
  readonly requestReason: string | undefined;
  readonly wantsClientCertificate: boolean;
  /** May gcloud's own login be used? Its files are secrets of another program. */
  readonly mayUseGcloudLogin: boolean;
  /** Whether a metadata server is looked for when nothing else gives credentials. */
  readonly asksMetadataServer: boolean;
  readonly endpoints: Endpoints;
  readonly gcloud: GcloudConfig;
}

/** `europe-west4-a` → europe-west4 */
export const regionOfZone = (zone: string): string => zone.replace(/-[a-z0-9]+$/, '');

const isTrue = (value: string | undefined) => ['1', 'true', 'yes', 'on'].includes(value?.toLowerCase() ?? '');

/**
 * Reads the selection. Precedence: flag, CLOUDSDK_… variables, GOOGLE_CLOUD_PROJECT, gcloud's active configuration.
 *
 * @throws CT_CONFIG (a configuration that does not exist, an endpoint that is none)
 */
export async function gcpSettings(world: World, selection: CloudSelection): Promise<GcpSettings> {
  const { env } = world;
  const gcloud = await gcloudConfig(world);
  const zone = selection.zone || gcloud.get('compute', 'zone');
  // A zone that was named says more than a region that somebody configured once.
  const region =
    selection.region || (selection.zone ? regionOfZone(selection.zone) : undefined) || regionOf(gcloud) || undefined;
  const projects = projectList(selection, env, gcloud);
  const universe = env.GOOGLE_CLOUD_UNIVERSE_DOMAIN || gcloud.get('core', 'universe_domain') || DEFAULT_UNIVERSE;
  return {
    projects,
    zone,
    region,
    label: `gcp ${[projects.join(','), zone ?? region].filter(Boolean).join('/') || 'without a project'}`,
    account: gcloud.get('core', 'account'),
    impersonate: list(gcloud.get('auth', 'impersonate_service_account')),
    quotaProject: env.GOOGLE_CLOUD_QUOTA_PROJECT || quotaProject(gcloud, projects),
    accessTokenFile: gcloud.get('auth', 'access_token_file'),
    universe,
    requestReason: gcloud.get('core', 'request_reason'),
    wantsClientCertificate:
      gcloud.isOn('context_aware', 'use_client_certificate') || isTrue(env.GOOGLE_API_USE_CLIENT_CERTIFICATE),
    mayUseGcloudLogin: isTrue(env.CLOUDTUN_GCLOUD_AUTH),
    asksMetadataServer:
      !isTrue(env.NO_GCE_CHECK) &&
      (gcloud.get('core', 'check_gce_metadata') === undefined || gcloud.isOn('core', 'check_gce_metadata')),
    endpoints: gcpEndpoints(env, gcloud, universe),
    gcloud,
  };
}

const list = (text: string | undefined) => text?.split(/[,\s]+/).filter(Boolean) ?? [];

function regionOf(gcloud: GcloudConfig): string | undefined {
  const zone = gcloud.get('compute', 'zone');
  return gcloud.get('compute', 'region') ?? (zone === undefined ? undefined : regionOfZone(zone));
}

function projectList(selection: CloudSelection, env: Environment, gcloud: GcloudConfig): readonly string[] {
  const chosen =
    selection.project ||
    env.CLOUDSDK_CORE_PROJECT ||
    env.GOOGLE_CLOUD_PROJECT ||
    env.GCLOUD_PROJECT ||
    gcloud.get('core', 'project');
  return [...new Set(list(chosen))];
}

/** gcloud's special words: the project of the resource itself (which needs no header), or the current one. */
function quotaProject(gcloud: GcloudConfig, projects: readonly string[]): string | undefined {
  const value = gcloud.get('billing', 'quota_project');
  if (value === 'CURRENT_PROJECT') return projects[0];
  return value === 'LEGACY' || value === 'CURRENT_PROJECT_WITH_FALLBACK' ? undefined : value;
}

/**
 * The environment that the network is set up from: gcloud's proxy and CA file are put where the variables say nothing.
 *
 * @throws CT_PROXY for a proxy that is not spoken to by HTTP CONNECT
 */
export function networkEnvironment(env: Environment, gcloud: GcloudConfig): Environment {
  const ca = gcloud.get('core', 'custom_ca_certs_file');
  const isProxied = ['https_proxy', 'all_proxy'].some((name) => env[name] || env[name.toUpperCase()]);
  const proxy = isProxied ? undefined : configuredProxy(gcloud);
  return {
    ...env,
    ...(ca === undefined ? {} : { CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE: ca }),
    ...(proxy === undefined ? {} : { HTTPS_PROXY: proxy }),
  };
}

function configuredProxy(gcloud: GcloudConfig): string | undefined {
  const type = gcloud.get('proxy', 'type');
  const host = gcloud.get('proxy', 'address');
  const port = gcloud.get('proxy', 'port');
  if (type === undefined && host === undefined) return undefined;
  if (type === undefined || host === undefined || port === undefined) {
    throw new CloudtunError('CT_PROXY', 'the proxy of the gcloud configuration is not complete', {
      hint: 'set proxy/type, proxy/address and proxy/port, or HTTPS_PROXY',
    });
  }
  if (type !== 'http') {
    throw new CloudtunError('CT_PROXY', `the gcloud configuration names a proxy of type ${type}`, {
      hint: 'tunnels go through HTTP proxies by CONNECT: set proxy/type http, or name another proxy in HTTPS_PROXY',
    });
  }
  const user = gcloud.get('proxy', 'username');
  const password = gcloud.get('proxy', 'password');
  const who =
    user === undefined
      ? ''
      : `${encodeURIComponent(user)}${password === undefined ? '' : `:${encodeURIComponent(password)}`}@`;
  return `http://${who}${host}:${port}`;
}

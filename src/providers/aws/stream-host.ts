import { CloudtunError } from '../../domain/errors.ts';
import { isLoopbackHost } from '../../runtime/proxy-rules.ts';
import type { Environment } from '../../runtime/world.ts';

/**
 * Where a websocket may be opened to. StartSession's answer names the host, and the first frame hands that host a token that opens a
 * session, so a forged answer must not be able to name any host it likes (spec section 7).
 */
export interface StreamHostRules {
  /** The lab: an API on loopback may name loopback, and plain `ws:`. */
  readonly apiIsLoopback: boolean;
  /** Further hosts, from CLOUDTUN_STREAM_HOSTS: exact, or `.example.com` for everything below. */
  readonly furtherHosts: readonly string[];
  /** `host[:port]` from CLOUDTUN_SSMMESSAGES_ENDPOINT: a VPC endpoint without private DNS. */
  readonly dialInstead: string | undefined;
}

/** DNS suffixes of the partitions, as in the SDK's own table: public, China, government, isolated, European sovereign. */
const SUFFIXES = [
  'amazonaws.com',
  'amazonaws.com.cn',
  'amazonaws.eu',
  'c2s.ic.gov',
  'sc2s.sgov.gov',
  'cloud.adc-e.uk',
  'csp.hci.ic.gov',
];
const DUAL_STACK_SUFFIXES = [
  'api.aws',
  'api.amazonwebservices.com.cn',
  'api.amazonwebservices.eu',
  'api.aws.ic.gov',
  'api.aws.scloud',
  'api.cloud-aws.adc-e.uk',
  'api.aws.hci.ic.gov',
];
const anyOf = (texts: readonly string[]) => `(?:${texts.map((text) => text.replaceAll('.', '\\.')).join('|')})`;
const REGION = '[a-z]{2,6}(?:-[a-z]+)+-\\d{1,2}';
const SESSION_MANAGER_HOSTS = [
  new RegExp(`^ssmmessages(?:-fips)?\\.${REGION}\\.${anyOf([...SUFFIXES, ...DUAL_STACK_SUFFIXES])}$`),
  new RegExp(`^vpce-[a-z0-9-]+\\.ssmmessages(?:-fips)?\\.${REGION}\\.vpce\\.${anyOf(SUFFIXES)}$`),
];

/** True for the hosts at which AWS serves Session Manager's data channels. */
export function isSessionManagerHost(host: string): boolean {
  return SESSION_MANAGER_HOSTS.some((pattern) => pattern.test(host));
}

/** @throws CT_CONFIG when CLOUDTUN_SSMMESSAGES_ENDPOINT is no host */
export function streamHostRules(env: Environment, ssmEndpoint: string | undefined): StreamHostRules {
  const api = ssmEndpoint !== undefined && URL.canParse(ssmEndpoint) ? new URL(ssmEndpoint).hostname : '';
  const instead =
    env.CLOUDTUN_SSMMESSAGES_ENDPOINT?.trim()
      .replace(/^(https|wss):\/\//, '')
      .replace(/\/$/, '') || undefined;
  if (instead !== undefined && !(URL.canParse(`wss://${instead}/`) && /^[^/?#@\s]+$/.test(instead))) {
    throw new CloudtunError('CT_CONFIG', `CLOUDTUN_SSMMESSAGES_ENDPOINT is no host: "${instead}"`, {
      hint: 'write host or host:port, such as vpce-….ssmmessages.eu-west-1.vpce.amazonaws.com',
    });
  }
  return {
    apiIsLoopback: isLoopbackHost(api),
    furtherHosts: (env.CLOUDTUN_STREAM_HOSTS ?? '')
      .toLowerCase()
      .split(/[,\s]+/)
      .filter(Boolean),
    dialInstead: instead,
  };
}

function isFurtherHost(host: string, further: readonly string[]): boolean {
  return further.some((entry) => {
    const suffix = entry.replace(/^\*/, '');
    return suffix.startsWith('.') ? host.endsWith(suffix) && host.length > suffix.length : host === suffix;
  });
}

/**
 * Checks the StreamUrl of the API and gives the URL to dial: byte for byte the same, or with only `host[:port]` replaced.
 *
 * @throws CT_STREAM_HOST
 */
export function streamUrlToDial(streamUrl: string, rules: StreamHostRules): string {
  const parts = /^(wss?:\/\/)([^/?#]*)(.*)$/s.exec(streamUrl);
  const url = parts !== null && URL.canParse(streamUrl) ? new URL(streamUrl) : undefined;
  const refuse = (why: string, host = 'no host') =>
    new CloudtunError('CT_STREAM_HOST', `AWS named ${host} for the data channel: ${why}`, {
      hint: 'if you run a relay of your own at this host, allow it in CLOUDTUN_STREAM_HOSTS; otherwise do not trust this network',
    });
  if (url === undefined || parts === null) throw refuse('that is no websocket address');
  if (url.username !== '' || url.password !== '') throw refuse('it holds a user name', url.hostname);

  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const isLoopback = rules.apiIsLoopback && isLoopbackHost(host);
  if (!isLoopback) {
    if (url.protocol !== 'wss:') throw refuse('it is not encrypted', host);
    const isOurs = isSessionManagerHost(host) && (url.port === '' || url.port === '443');
    if (!isOurs && !isFurtherHost(host, rules.furtherHosts))
      throw refuse('that is not a Session Manager host', url.host);
  }
  return rules.dialInstead === undefined ? streamUrl : `${parts[1]}${rules.dialInstead}${parts[3]}`;
}

import { BlockList, isIP } from 'node:net';
import { CloudtunError } from '../domain/errors.ts';
import { isLoopbackAddress } from './loopback.ts';
import type { Environment } from './world.ts';

/**
 * Which proxy the environment names for a URL.
 *
 * These are our own rules and not the package proxy-from-env, for three reasons: it reads `process.env` behind the World's back; it
 * wants an exact NO_PROXY name, so that `NO_PROXY=amazonaws.com`, which the AWS CLI and the session-manager-plugin honour for every
 * host below, would be ignored; and it takes `HTTPS_PROXY=proxy:3128` for a proxy that itself speaks TLS. A test compares the two
 * where they should agree.
 */

const PROXY_SCHEMES = ['http:', 'https:', 'socks:', 'socks4:', 'socks4a:', 'socks5:', 'socks5h:'];

/** A websocket is proxied like the request that opens it. */
const VARIABLE_OF: Readonly<Record<string, 'http_proxy' | 'https_proxy'>> = {
  'http:': 'http_proxy',
  'https:': 'https_proxy',
  'ws:': 'http_proxy',
  'wss:': 'https_proxy',
};
const DEFAULT_PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443, 'ws:': 80, 'wss:': 443 };

/** The lower-case name first, as curl and Python do. An empty value counts as unset. */
function variable(env: Environment, name: string): { readonly name: string; readonly value: string } | undefined {
  for (const spelling of [name, name.toUpperCase()]) {
    const value = env[spelling]?.trim();
    if (value) return { name: spelling, value };
  }
  return undefined;
}

const withoutBrackets = (host: string) => host.replace(/^\[(.*)\]$/, '$1');

/** Addresses of this machine, and names that resolve to nothing else (RFC 6761). */
export function isLoopbackHost(host: string): boolean {
  const bare = withoutBrackets(host).toLowerCase();
  return isLoopbackAddress(bare) || bare === 'localhost' || bare.endsWith('.localhost');
}

function matchesEntry(entry: string, host: string, port: number): boolean {
  if (entry === '*') return true;
  const parts = /^(\[[^\]]+\]|[^:]+):(\d+)$/.exec(entry);
  if (parts && Number(parts[2]) !== port) return false;
  const name = withoutBrackets(parts ? parts[1]! : entry);
  const family = isIP(host);
  if (family !== 0) {
    const [address, bits] = name.split('/');
    if (isIP(address ?? '') !== family) return false;
    if (bits !== undefined && !(/^\d+$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))) return false;
    const list = new BlockList();
    const type = family === 4 ? 'ipv4' : 'ipv6';
    list.addSubnet(address!, bits === undefined ? (family === 4 ? 32 : 128) : Number(bits), type);
    return list.check(host, type);
  }
  const domain = name.replace(/^\*?\.?/, '');
  return domain !== '' && (host === domain || host.endsWith(`.${domain}`));
}

/**
 * The address of the proxy for `url`, or undefined for a direct connection.
 *
 * - `https:` and `wss:` look at HTTPS_PROXY, `http:` and `ws:` at HTTP_PROXY, both fall back to ALL_PROXY; lower case wins.
 * - Loopback never goes through a proxy, whatever the environment says: another machine's loopback is not the one that is meant, and
 *   the embedded lab lives there.
 * - NO_PROXY: names match themselves and everything below (with or without a leading `.` or `*.`), addresses match exactly or by
 *   CIDR block, `:port` narrows an entry, `*` means everything.
 *
 * @throws CT_PROXY when the variable holds something that is no proxy address; its value is not shown, it may hold a password
 */
export function proxyFor(url: URL, env: Environment): URL | undefined {
  const name = VARIABLE_OF[url.protocol];
  if (name === undefined) return undefined;
  const host = withoutBrackets(url.hostname).toLowerCase();
  if (host === '' || isLoopbackHost(host)) return undefined;
  const chosen = variable(env, name) ?? variable(env, 'all_proxy');
  if (chosen === undefined) return undefined;
  const port = url.port === '' ? DEFAULT_PORTS[url.protocol]! : Number(url.port);
  const exceptions =
    variable(env, 'no_proxy')
      ?.value.toLowerCase()
      .split(/[,\s]+/) ?? [];
  if (exceptions.some((entry) => entry !== '' && matchesEntry(entry, host, port))) return undefined;

  const text = chosen.value.includes('://') ? chosen.value : `http://${chosen.value}`;
  const proxy = URL.canParse(text) ? new URL(text) : undefined;
  if (proxy === undefined || !PROXY_SCHEMES.includes(proxy.protocol) || proxy.hostname === '') {
    throw new CloudtunError('CT_PROXY', `${chosen.name} is not the address of a proxy`, {
      hint: `write ${chosen.name} as http://host:port, https://host:port or socks5://host:port`,
    });
  }
  return proxy;
}

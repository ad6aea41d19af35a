import { isIPv4 } from 'node:net';
import { formatEndpoint, type LocalEndpoint } from '../domain/endpoint.ts';
import type { HostPattern, SocksRules } from './rules.ts';

export const PAC_PATH = '/proxy.pac';
export const PAC_TYPE = 'application/x-ns-proxy-autoconfig';

/**
 * A proxy auto-configuration file: what the rules let through goes to the port, everything else directly. It names what `--only` has, and
 * asks no name server: a block of addresses is compared with hosts that are addresses.
 *
 * @param local the address at which the browser reaches the port
 */
export function pacFile(local: LocalEndpoint, { only, except }: SocksRules): string {
  const at = formatEndpoint(local);
  return `// Written by cloudtun. Names are resolved on the far side.
function FindProxyForURL(url, host) {
  host = host.toLowerCase().replace(/\\.$/, "").replace(/^\\[(.*)\\]$/, "$1");
  var isAddress = /^\\d+(\\.\\d+){3}$/.test(host), isIpv6 = host.indexOf(":") >= 0;
  if (host === "localhost" || /\\.localhost$/.test(host) || /^127\\./.test(host) || host === "::1") return "DIRECT";
${except.map((pattern) => `  if (${condition(pattern, false)}) return "DIRECT";\n`).join('')}${only.length === 0 ? `  return ${proxy(at)};` : `${only.map((pattern) => `  if (${condition(pattern, true)}) return ${proxy(at)};\n`).join('')}  return "DIRECT";`}
}
`;
}

const proxy = (at: string) => JSON.stringify(`SOCKS5 ${at}; SOCKS ${at}; PROXY ${at}`);

/** @param untold what to answer where this language cannot tell: the port will know */
function condition(pattern: HostPattern, untold: boolean): string {
  if (pattern.kind === 'name') return `/${pattern.name.source}/.test(host)`;
  const [address = '', bits] = pattern.text.replace(/^\[(.*)\]$/, '$1').split('/');
  if (!isIPv4(address)) return untold ? 'isIpv6' : 'false';
  return `isAddress && isInNet(host, ${JSON.stringify(address)}, ${JSON.stringify(mask(Number(bits ?? 32)))})`;
}

function mask(bits: number): string {
  const number = bits === 0 ? 0 : (0xffff_ffff << (32 - bits)) >>> 0;
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 0xff).join('.');
}

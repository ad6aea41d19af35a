import { isIP } from 'node:net';
import type { RemoteEndpoint } from '../domain/endpoint.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { ExposeRule } from '../expose/expose-types.ts';
import { type Cidr, parseCidr } from '../runtime/cidr.ts';

const LARGEST_PORT = 65_535;

/**
 * What `expose` was told of its two ends.
 *
 * @throws CT_USAGE
 */
export function exposeRule(flags: {
  readonly remote: string;
  readonly local: string;
  readonly 'bind-remote'?: string | undefined;
}): ExposeRule {
  return {
    remote: {
      host: remoteBindHost(flags['bind-remote'] ?? 'localhost', '--bind-remote'),
      port: remotePort(flags.remote),
    },
    local: localService(flags.local),
  };
}

/** `*` and nothing stand for all addresses, as for ssh; what sshd calls `localhost` are both loopbacks. */
export function remoteBindHost(text: string, what: string): string {
  if (text === '' || text === '*') return '';
  if (text === 'localhost' || isIP(text) !== 0) return text;
  throw new CloudtunError('CT_USAGE', `${what} "${text}" is not an address of the far machine`, {
    hint: 'an IP address, localhost, or * for all of them',
  });
}

/** `--allow`. @throws CT_USAGE */
export function allowedSources(texts: readonly string[]): readonly Cidr[] {
  return texts.map((text) => {
    const cidr = parseCidr(text);
    if (cidr) return cidr;
    throw new CloudtunError('CT_USAGE', `--allow "${text}" is not a block of addresses`, {
      hint: 'such as 10.0.0.0/8, 192.168.1.7 or fd00::/8',
    });
  });
}

function remotePort(text: string): number {
  if (text === 'auto') return 0;
  const port = portOf(text);
  if (port !== undefined) return port;
  throw new CloudtunError('CT_USAGE', `--remote "${text}" is not a port`, {
    hint: 'a number from 1 to 65535, or 0 for any that is free on the far machine',
  });
}

/** `3000`, `host:3000`, `[::1]:3000` */
function localService(text: string): Required<RemoteEndpoint> {
  const [, bracketed, plain, digits = ''] = /^(?:\[([^\]]+)\]:|([^:[\]\s]+):)?(\d+)$/.exec(text) ?? [];
  const port = portOf(digits);
  const isAddress = bracketed === undefined || isIP(bracketed) === 6;
  if (port !== undefined && port > 0 && isAddress) return { host: bracketed ?? plain ?? 'localhost', port };
  throw new CloudtunError('CT_USAGE', `--local "${text}" is not a service on this side`, {
    hint: 'a port, 3000, or host and port: 192.168.1.7:3000 or [::1]:3000',
  });
}

function portOf(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  return port <= LARGEST_PORT ? port : undefined;
}

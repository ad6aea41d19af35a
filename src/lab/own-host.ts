import type { IncomingHttpHeaders } from 'node:http';

/**
 * Whether a request was meant for this port on loopback. A page of some web site whose name was made to resolve to 127.0.0.1 comes
 * with its own name in Host and is refused (DNS rebinding).
 */
export function isOwnHost(headers: IncomingHttpHeaders, port: number): boolean {
  return ownHosts(port).includes((headers.host ?? '').toLowerCase());
}

export const ownHosts = (port: number): readonly string[] => [
  `127.0.0.1:${port}`,
  `localhost:${port}`,
  `[::1]:${port}`,
];

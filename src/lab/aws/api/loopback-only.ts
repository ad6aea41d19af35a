import type { IncomingHttpHeaders } from 'node:http';

/** Whether a socket's peer is this machine itself. */
export function isLoopbackPeer(address: string | undefined): boolean {
  if (address === undefined) return false;
  const plain = address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
  return plain === '::1' || /^127(\.\d{1,3}){3}$/.test(plain);
}

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

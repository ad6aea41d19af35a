/** Where a stream should end, as seen from the far end of the tunnel. Without `host`: the machine itself. */
export interface RemoteEndpoint {
  readonly host?: string;
  readonly port: number;
}

/** An address on this machine that a listener is bound to. */
export interface LocalEndpoint {
  readonly host: string;
  readonly port: number;
}

/** `host:port`, with IPv6 addresses in brackets; `localhost:port` for the machine itself. */
export function formatEndpoint(endpoint: { readonly host?: string; readonly port: number }): string {
  const host = endpoint.host ?? 'localhost';
  return host.includes(':') ? `[${host}]:${endpoint.port}` : `${host}:${endpoint.port}`;
}

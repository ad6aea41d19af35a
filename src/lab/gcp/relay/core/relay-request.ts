/**
 * What the upgrade to the relay asks for (docs/protocol/iap.md, "Reaching the service"): path, query and headers in, a request or a
 * refusal out, and what a good client would not have sent.
 */

export interface InstanceTarget {
  readonly kind: 'instance';
  readonly project: string;
  readonly zone: string;
  /** A name, or the numeric id. */
  readonly instance: string;
  readonly networkInterface: string;
  readonly port: number;
}

export interface HostTarget {
  readonly kind: 'host';
  readonly project: string;
  readonly region: string;
  readonly network: string;
  readonly host: string;
  readonly group: string | undefined;
  readonly port: number;
}

export type RelayTarget = InstanceTarget | HostTarget;

export type RelayRequest =
  | { readonly kind: 'connect'; readonly target: RelayTarget }
  /** `ack`: payload bytes that the client has. */
  | { readonly kind: 'reconnect'; readonly sid: string; readonly ack: bigint; readonly place: string | undefined };

export interface ReadRequest {
  /** A sentence when the request cannot be served: HTTP 400. */
  readonly request: RelayRequest | string;
  /** Rules that the client broke; it is served all the same. */
  readonly violations: readonly string[];
}

export const SUBPROTOCOL = 'relay.tunnel.cloudproxy.app';
export const ORIGIN = 'bot:iap-tunneler';

const CONNECT_KEYS: Readonly<Record<RelayTarget['kind'], readonly string[]>> = {
  instance: ['project', 'port', 'newWebsocket', 'zone', 'instance', 'interface', '_'],
  host: ['project', 'port', 'newWebsocket', 'region', 'network', 'host', 'group', '_'],
};
const RECONNECT_KEYS = ['sid', 'ack', 'newWebsocket', 'zone', 'region', '_'];

/** Reads path and query of an upgrade; undefined when the path is for nobody here. */
export function readRequest(url: string): ReadRequest | undefined {
  const [path, text = ''] = url.split('?', 2);
  const query = new URLSearchParams(text);
  if (path === '/v4/connect') return readConnect(query);
  if (path === '/v4/reconnect') return readReconnect(query);
  return undefined;
}

function readConnect(query: URLSearchParams): ReadRequest {
  const isHost = ['region', 'network', 'host', 'group'].some((key) => query.has(key));
  const kind = isHost ? 'host' : 'instance';
  const needed = isHost ? ['project', 'port', 'region', 'network', 'host'] : ['project', 'port', 'zone', 'instance'];
  const missing = needed.filter((key) => !query.get(key));
  const violations = strangeKeys(query, CONNECT_KEYS[kind]);
  if (!isHost && !query.has('interface')) violations.push('the query has no interface');
  if (missing.length > 0) return { request: `the query has no ${missing.join(', ')}`, violations };
  const field = (key: string) => query.get(key) ?? '';
  const port = Number(field('port'));
  if (!/^\d{1,5}$/.test(field('port')) || port < 1 || port > 65_535) {
    return { request: `"${field('port')}" is no port`, violations };
  }
  if (field('host').startsWith('[')) violations.push('an IPv6 host in brackets');
  const target: RelayTarget = isHost
    ? {
        kind: 'host',
        project: field('project'),
        region: field('region'),
        network: field('network'),
        host: field('host'),
        group: query.get('group') ?? undefined,
        port,
      }
    : {
        kind: 'instance',
        project: field('project'),
        zone: field('zone'),
        instance: field('instance'),
        networkInterface: query.get('interface') ?? 'nic0',
        port,
      };
  return { request: { kind: 'connect', target }, violations };
}

function readReconnect(query: URLSearchParams): ReadRequest {
  const violations = strangeKeys(query, RECONNECT_KEYS);
  const sid = query.get('sid');
  const ack = query.get('ack');
  if (!query.has('zone') && !query.has('region')) violations.push('a reconnect without zone or region');
  if (!sid) return { request: 'the query has no sid', violations };
  if (ack === null || !/^\d{1,20}$/.test(ack)) return { request: `"${ack ?? ''}" is no byte count`, violations };
  const place = query.get('zone') ?? query.get('region') ?? undefined;
  return { request: { kind: 'reconnect', sid, ack: BigInt(ack), place }, violations };
}

function strangeKeys(query: URLSearchParams, known: readonly string[]): string[] {
  const keys = [...query.keys()];
  return [
    ...keys.filter((key) => !known.includes(key)).map((key) => `the query has ${key}`),
    ...new Set(keys.filter((key, index) => keys.indexOf(key) !== index).map((key) => `the query has ${key} twice`)),
  ];
}

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** Header rules that a good client keeps; the service serves most who break them. */
export function headerViolations(headers: Headers): readonly string[] {
  const found: string[] = [];
  if (headers.origin === undefined) found.push('an upgrade without Origin');
  else if (headers.origin !== ORIGIN) found.push(`Origin is ${String(headers.origin)}`);
  if (headers['sec-websocket-extensions'] !== undefined) found.push('the upgrade offers websocket extensions');
  if (headers['x-goog-user-project'] !== undefined) found.push('a quota project on the tunnel');
  if (headers['user-agent'] === undefined) found.push('an upgrade without User-Agent');
  return found;
}

/** Whether the client offered the subprotocol, which must be echoed. */
export function offersSubprotocol(headers: Headers): boolean {
  const offered = headers['sec-websocket-protocol'];
  return typeof offered === 'string' && offered.split(',').some((name) => name.trim().toLowerCase() === SUBPROTOCOL);
}

/** The bearer token of the upgrade. */
export function bearerOf(authorization: string | undefined): string | undefined {
  return /^Bearer (\S+)$/i.exec(authorization ?? '')?.[1];
}

import type { Agent, ClientRequest } from 'node:http';
import type { Socket } from 'node:net';
import type { HttpsProxyAgent } from 'https-proxy-agent';
import { CloudtunError, systemCode } from '../domain/errors.ts';
import { asNetworkError } from './network-errors.ts';

/** Makes the agent for requests to one kind of URL through one proxy. */
export type ProxyAgentFactory = (protocol: string, proxy: URL, ca: readonly string[] | undefined) => ProxyAgent;

/** Never with user and password. */
const label = (proxy: URL) => `${proxy.protocol}//${proxy.host}`;

const REFUSALS: Readonly<Record<number, readonly [sentence: string, hint: string]>> = {
  403: ['does not allow it', 'ask for the host to be allowed, or add it to NO_PROXY if it can be reached directly'],
  407: [
    'wants a user name and password, or does not accept those it was given',
    'write them into the proxy address: http://user:password@host:port',
  ],
};

function refused(proxy: URL, target: string, status: number): CloudtunError {
  const [sentence, hint] = REFUSALS[status] ?? [
    'could not connect to it',
    'ask who runs the proxy, or add the host to NO_PROXY if it can be reached directly',
  ];
  return new CloudtunError('CT_PROXY', `the proxy ${label(proxy)} answered ${status} for ${target}: it ${sentence}`, {
    hint,
  });
}

function unreachable(proxy: URL, target: string, error: unknown): CloudtunError {
  const trouble = asNetworkError(error, `the proxy ${label(proxy)}`);
  if (trouble?.code === 'CT_TLS') return trouble;
  const code = systemCode(error);
  return new CloudtunError(
    'CT_PROXY',
    `the proxy ${label(proxy)} gave no connection to ${target}${code === undefined ? '' : ` (${code})`}`,
    { hint: 'check HTTPS_PROXY and ALL_PROXY, or add the host to NO_PROXY', cause: error },
  );
}

/** What the agent packages share: they connect asynchronously and then hand the socket to Node's own pool. */
export interface ProxyAgent extends Agent {
  connect(request: ClientRequest, to: ConnectOptions): Promise<Socket>;
}
type ConnectOptions = Parameters<HttpsProxyAgent<string>['connect']>[1];

/**
 * Makes the failures of a proxy CT_PROXY, here, because further up a 403 of the proxy and a 403 of AWS look the same: the packages
 * replay the proxy's answer as if the far end had given it.
 */
function blameProxy(agent: ProxyAgent, proxy: URL, ca: readonly string[] | undefined): ProxyAgent {
  const connect = agent.connect.bind(agent);
  agent.connect = async (request, to) => {
    const target = `${to.host ?? '?'}:${to.port ?? '?'}`;
    let status: number | undefined;
    request.once('proxyConnect', (answer: { statusCode?: number }) => {
      status = answer.statusCode;
    });
    let socket: Socket;
    try {
      // The CA bundles are for the TLS inside the tunnel as well; agent options reach only the TLS to the proxy itself.
      socket = await connect(request, to.secureEndpoint && ca !== undefined ? { ...to, ca: [...ca] } : to);
    } catch (error) {
      throw unreachable(proxy, target, error);
    }
    if (status === undefined || status === 200) return socket;
    socket.destroy();
    throw refused(proxy, target, status);
  };
  return agent;
}

/**
 * `socks5:` means here that the proxy resolves names, as in the vendor's client; the package would resolve them on this machine,
 * where private names mean nothing.
 */
function resolvedRemotely(proxy: URL): string {
  return proxy.href.replace(/^socks(4|5)?:/, (_, version?: string) => (version === '4' ? 'socks4a:' : 'socks5h:'));
}

/** Loads the agent packages that the given proxies need, and no other. */
export async function loadProxyAgents(proxies: readonly URL[]): Promise<ProxyAgentFactory> {
  const needs = (scheme: string) => proxies.some((proxy) => proxy.protocol.startsWith(scheme));
  const connecting = needs('http') ? await import('https-proxy-agent') : undefined;
  const forwarding = needs('http') ? await import('http-proxy-agent') : undefined;
  const socks = needs('socks') ? await import('socks-proxy-agent') : undefined;

  return (protocol, proxy, ca) => {
    const toProxy = ca === undefined ? { keepAlive: true } : { keepAlive: true, ca: [...ca] };
    if (proxy.protocol.startsWith('socks')) {
      return blameProxy(new socks!.SocksProxyAgent(resolvedRemotely(proxy), { keepAlive: true }), proxy, ca);
    }
    // A plain request is handed to the proxy; everything else, plain websockets too, needs a tunnel by CONNECT.
    return protocol === 'http:'
      ? blameProxy(new forwarding!.HttpProxyAgent(proxy, toProxy), proxy, undefined)
      : blameProxy(new connecting!.HttpsProxyAgent(proxy, toProxy), proxy, ca);
  };
}

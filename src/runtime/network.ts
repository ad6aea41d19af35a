import { type Agent, Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Socket } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import { trustedRoots } from './ca-bundles.ts';
import { loadProxyAgents, type ProxyAgent, type ProxyAgentFactory } from './proxy-agents.ts';
import { proxyFor } from './proxy-rules.ts';
import { type OwnCertificate, readyConnection } from './ready-connection.ts';
import type { World } from './world.ts';

/** How this machine reaches the outside: the one place where API calls and websockets learn of proxies and CA bundles. */
export interface NetworkSettings extends AsyncDisposable {
  /**
   * The agent for a request to `url` (`https:`, `http:`, `wss:`, `ws:`): through the proxy that the environment names for it, or
   * direct. It keeps connections alive and brings the CA bundles. Undefined for any other scheme. An agent's errors are CT_PROXY
   * (or CT_TLS) where the proxy is to blame, and Node's own where it is not.
   *
   * @throws CT_PROXY when the environment names a proxy with an address that is none
   */
  agentFor(url: string | URL): Agent | undefined;
  /**
   * A connection to the host of `url` (`wss:`, `https:`) on the way that `agentFor` would take, TLS done and nothing said on it yet: see
   * ready-connection.ts. The caller owns it.
   *
   * @throws Node's own errors, CT_PROXY, the reason of `signal`
   */
  connect(url: string, certificate: OwnCertificate | undefined, signal: AbortSignal): Promise<Socket>;
  /** For connections that are made without our agents; undefined: Node's default roots. */
  readonly ca: string[] | undefined;
  /**
   * The same roots, parsed: more than a hundred of them cost ten milliseconds for each connection otherwise. Not for connections with a
   * certificate of our own. Undefined: Node's default, which is shared anyway.
   */
  readonly secureContext: SecureContext | undefined;
}

/** What may be proxied at all, one of each kind, to learn which proxy packages are wanted before the first request. */
const PROXY_VARIABLES = ['https_proxy', 'http_proxy', 'all_proxy'];

function configuredProxies(world: World): URL[] {
  const probes = ['https://probe.invalid', 'http://probe.invalid'].map((url) => new URL(url));
  const env = { ...world.env, no_proxy: '', NO_PROXY: '' };
  return probes.map((url) => proxyFor(url, env)).filter((proxy) => proxy !== undefined);
}

/**
 * Reads proxies (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY; see proxy-rules.ts) and CA bundles (see ca-bundles.ts) from the
 * world's environment. Proxy packages are loaded only when a proxy is configured.
 *
 * @throws CT_TLS when a CA bundle cannot be read, CT_PROXY when a proxy address cannot be understood
 */
export async function networkSettings(world: World): Promise<NetworkSettings> {
  const ca = await trustedRoots(world.env);
  const hasProxy = PROXY_VARIABLES.some((name) => world.env[name] || world.env[name.toUpperCase()]);
  const proxies = hasProxy ? configuredProxies(world) : [];
  const throughProxy: ProxyAgentFactory | undefined = proxies.length > 0 ? await loadProxyAgents(proxies) : undefined;
  const agents = new Map<string, Agent>();
  const proxyAgents = new Map<string, ProxyAgent>();
  const cached = <Kind extends Agent>(kept: Map<string, Kind>, key: string, make: () => Kind) => {
    const agent = kept.get(key) ?? make();
    kept.set(key, agent);
    return agent;
  };
  const proxyAgentFor = (url: URL) => {
    const proxy = proxyFor(url, world.env);
    if (proxy === undefined || throughProxy === undefined) return undefined;
    return cached(proxyAgents, `${url.protocol} ${proxy.href}`, () => throughProxy(url.protocol, proxy, ca));
  };
  const roots = ca === undefined ? {} : { ca };
  let parsed: SecureContext | undefined;
  const secureContext = () => {
    if (ca !== undefined) parsed ??= createSecureContext({ ca });
    return parsed;
  };

  return {
    ca,
    get secureContext() {
      return secureContext();
    },
    agentFor(address) {
      const url = typeof address === 'string' ? new URL(address) : address;
      const protocol = url.protocol.replace(/^ws/, 'http');
      if (protocol !== 'https:' && protocol !== 'http:') return undefined;
      return (
        proxyAgentFor(url) ??
        cached(agents, protocol, () =>
          protocol === 'https:' ? new HttpsAgent({ keepAlive: true, ...roots }) : new HttpAgent({ keepAlive: true }),
        )
      );
    },
    connect(address, certificate, signal) {
      const url = new URL(address);
      const trust = { ca, secureContext: secureContext() };
      return readyConnection(url, { proxy: proxyAgentFor(url), ...trust, certificate }, signal);
    },
    async [Symbol.asyncDispose]() {
      for (const agent of [...agents.values(), ...proxyAgents.values()]) agent.destroy();
      agents.clear();
      proxyAgents.clear();
    },
  };
}

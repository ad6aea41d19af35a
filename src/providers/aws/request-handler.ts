import type { Agent } from 'node:http';
import type { NetworkSettings } from '../../runtime/network.ts';
import { NodeHttpHandler } from './sdk/http.ts';

type Request = Parameters<NodeHttpHandler['handle']>[0];
type Options = Parameters<NodeHttpHandler['handle']>[1];
type Answer = ReturnType<NodeHttpHandler['handle']>;

/** Guessed: a TLS handshake over a bad line takes seconds; the vendor's CLI allows 60 s for both. */
const CONNECT_TIMEOUT_MS = 10_000;
/** Guessed: DescribeInstances of a big account answers in seconds. */
const REQUEST_TIMEOUT_MS = 60_000;

/**
 * The SDK's HTTP handler, with the agent chosen for each URL: an endpoint may need the proxy while another, a VPC endpoint or the
 * lab, may not. The SDK's own handler takes one agent for all.
 */
export class RequestHandler {
  readonly metadata = { handlerProtocol: 'http/1.1' };
  readonly #network: NetworkSettings;
  readonly #handlers = new Map<Agent, NodeHttpHandler>();

  constructor(network: NetworkSettings) {
    this.#network = network;
  }

  async handle(request: Request, options?: Options): Answer {
    const host =
      request.hostname.includes(':') && !request.hostname.startsWith('[') ? `[${request.hostname}]` : request.hostname;
    const port = request.port === undefined ? '' : `:${request.port}`;
    const agent = this.#network.agentFor(`${request.protocol}//${host}${port}/`);
    return this.#handlerFor(agent!).handle(request, options);
  }

  #handlerFor(agent: Agent): NodeHttpHandler {
    const known = this.#handlers.get(agent);
    if (known !== undefined) return known;
    const handler = new NodeHttpHandler({
      // The handler takes either by the request's protocol; ours was made for exactly this one.
      httpAgent: agent,
      httpsAgent: agent as never,
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      throwOnRequestTimeout: true,
    });
    this.#handlers.set(agent, handler);
    return handler;
  }

  /** The agents belong to the network settings, which destroy them; clients share this handler, so one must not end it. */
  destroy(): void {}

  updateHttpClientConfig(): void {}

  httpHandlerConfigs(): Record<string, never> {
    return {};
  }
}

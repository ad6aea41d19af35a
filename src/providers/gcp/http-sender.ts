import { type IncomingMessage, request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { gunzipSync } from 'node:zlib';
import { CloudtunError } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import { withDeadline } from '../../runtime/deadline.ts';
import type { NetworkSettings } from '../../runtime/network.ts';
import { asNetworkError } from '../../runtime/network-errors.ts';
import type { World } from '../../runtime/world.ts';
import type { Endpoints } from './endpoints.ts';

/** Guessed: a page of 500 instances takes a second or two; Google's own client allows 60 s. */
const REQUEST_WITHIN: Millis = 60_000;
/** A page of 500 instances with long metadata stays below 10 MB. */
const LONGEST_BODY = 32 << 20;

export interface HttpRequest {
  readonly method: string;
  readonly url: URL;
  /** Lower-case names. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Less than the usual minute, where an answer is due at once. */
  readonly within?: Millis;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * Sends requests with this machine's proxies and CA bundles. Redirects are not followed: an API has none, and a token must not go
 * where an answer says.
 */
export class HttpSender {
  readonly #world: World;
  readonly #network: NetworkSettings;
  readonly #endpoints: Endpoints;

  constructor(world: World, network: NetworkSettings, endpoints: Endpoints) {
    this.#world = world;
    this.#network = network;
    this.#endpoints = endpoints;
  }

  /** @throws CT_NETWORK, CT_PROXY, CT_TLS, CT_CONFIG (a URL without TLS to another machine); the signal's reason when it aborts */
  async send(request: HttpRequest, signal?: AbortSignal): Promise<HttpAnswer> {
    const { url } = request;
    if (url.protocol !== 'https:' && !(url.protocol === 'http:' && this.#endpoints.mayBePlain(url))) {
      throw new CloudtunError('CT_CONFIG', `${url.protocol}//${url.host} may not be asked for or with credentials`, {
        hint: 'a credential file names it: secrets go to other machines over https only',
      });
    }
    const started = this.#world.clock.now();
    try {
      return await withDeadline(
        this.#world.clock,
        request.within ?? REQUEST_WITHIN,
        (limited) => this.#exchange(request, limited),
        signal,
      );
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof DOMException && error.name === 'TimeoutError') {
        throw new CloudtunError('CT_NETWORK', `${url.host} did not answer in time`, {
          hint: 'check the network, and HTTPS_PROXY and NO_PROXY if you are behind a proxy',
          cause: error,
        });
      }
      throw asNetworkError(error, url.host) ?? error;
    } finally {
      // Without the query: tokeninfo and metadata take arguments there.
      const took = Math.round(this.#world.clock.now() - started);
      this.#world.log.debug(`${request.method} ${url.host}${url.pathname} ${took} ms`);
    }
  }

  #exchange(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
    const { url, body } = request;
    const agent = this.#network.agentFor(url);
    const send = url.protocol === 'https:' ? requestTls : requestPlain;
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      // Node says AbortError whatever the reason was; a time-out must stay one.
      const fail = (error: unknown) => reject(signal.aborted ? signal.reason : error);
      const outgoing = send(
        url,
        {
          method: request.method,
          headers: {
            // Google compresses for those who also say so in their name.
            'user-agent': 'cloudtun (gzip)',
            'accept-encoding': 'gzip',
            ...request.headers,
            ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
          },
          signal,
          ...(agent === undefined ? {} : { agent }),
        },
        (incoming) => readAnswer(incoming).then(resolve, fail),
      );
      outgoing.on('error', fail);
      outgoing.end(body);
    });
  }
}

async function readAnswer(incoming: IncomingMessage): Promise<HttpAnswer> {
  const chunks: Buffer[] = [];
  let byteCount = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    byteCount += chunk.length;
    if (byteCount > LONGEST_BODY) throw tooLong();
    chunks.push(chunk);
  }
  let body: Buffer = Buffer.concat(chunks);
  if (incoming.headers['content-encoding'] === 'gzip') {
    try {
      body = gunzipSync(body, { maxOutputLength: LONGEST_BODY });
    } catch {
      throw tooLong();
    }
  }
  const headers = Object.entries(incoming.headers).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value] as const],
  );
  return { status: incoming.statusCode ?? 0, headers: Object.fromEntries(headers), body: body.toString('utf8') };
}

const tooLong = () =>
  new CloudtunError('CT_SERVICE', 'an answer was longer than 32 MiB, or not compressed as it says', {
    hint: 'narrow what is asked: --project, --zone',
  });

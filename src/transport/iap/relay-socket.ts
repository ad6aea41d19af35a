/** One websocket to the relay (docs/protocol/iap.md, "Reaching the service"): address, headers, and what a refusal means. */
import type { Socket } from 'node:net';
import { ERROR_CATALOGUE } from '../../domain/error-catalogue.ts';
import { asCloudtunError, type CloudtunError, systemCode } from '../../domain/errors.ts';
import { INTERVALS } from '../../domain/intervals.ts';
import type { Secret } from '../../domain/secret.ts';
import type { IapRelayTicket } from '../../domain/ticket.ts';
import type { World } from '../../runtime/world.ts';
import { connectPump, MessagePump } from '../ws/message-pump.ts';
import { judgeStatus, type Trouble } from './core/close-codes.ts';
import { connectUrl, reconnectUrl } from './core/relay-url.ts';
import type { RelayOptions } from './relay-options.ts';
import type { SpareConnections } from './spare-connections.ts';

const SUBPROTOCOL = 'relay.tunnel.cloudproxy.app';
/** Without it the upgrade succeeds and nothing ever follows. */
const ORIGIN = 'bot:iap-tunneler';
/** Free text that stands in the audit log of the project. */
const USER_AGENT = 'cloudtun';
const UPGRADE_LIMIT_MS = 15_000;
/** The usual one is longer here than for other services: so many times. */
const PONG_DEADLINE_SHARE = 45 / 20;
const TCP_KEEP_ALIVE_MS = 30_000;
/** Far above the 16 KiB that a sender may put into a frame, far below what hurts. */
const MAX_MESSAGE_BYTES = 1024 * 1024;

/** What is asked of the relay. */
export type RelayRequest =
  | { readonly phase: 'connect' }
  | { readonly phase: 'reconnect'; readonly sid: Secret; readonly received: number };

/** People's name for the far end: `port 5432 of web-1 (acme/europe-west4-a)`. */
export function farEndName({ target, to }: Pick<IapRelayTicket, 'target' | 'to'>): string {
  return target.kind === 'instance'
    ? `port ${to.port} of ${target.instance} (${target.project}/${target.zone})`
    : `port ${to.port} of ${target.host} (${target.project}/${target.region}/${target.network})`;
}

/** The session id travels as bytes; a Secret holds text, so each byte is a character. */
export const sidBytes = (sid: Secret): Buffer => Buffer.from(sid.reveal(), 'latin1');

export function requestUrl({ root, target, to }: IapRelayTicket, request: RelayRequest): string {
  return request.phase === 'connect'
    ? connectUrl(root, target, to.port)
    : reconnectUrl(root, target, sidBytes(request.sid), request.received);
}

/**
 * Opens a websocket with the token of `ticket`, on a spare connection if there is one.
 *
 * @returns the websocket, or what its refusal means. Rejects only with the reason of `signal`
 */
export async function openRelaySocket(
  world: World,
  ticket: IapRelayTicket,
  request: RelayRequest,
  options: RelayOptions,
  spares: SpareConnections,
  signal: AbortSignal,
): Promise<MessagePump | Trouble> {
  const spare = spares.take(ticket);
  const opened = await open(world, ticket, request, options, spare, signal);
  // A connection that stood idle may be dead without anybody's knowledge.
  if (spare === undefined || opened instanceof MessagePump || opened.error.code !== 'CT_NETWORK') return opened;
  return await open(world, ticket, request, options, undefined, signal);
}

async function open(
  world: World,
  ticket: IapRelayTicket,
  request: RelayRequest,
  { route, wake, intervals = INTERVALS }: RelayOptions,
  connection: Socket | undefined,
  signal: AbortSignal,
): Promise<MessagePump | Trouble> {
  const url = requestUrl(ticket, request);
  const { clientCertificate: certificate } = ticket;
  let verdict: Trouble | undefined;
  try {
    return await connectPump(
      world,
      url,
      {
        origin: ORIGIN,
        protocols: [SUBPROTOCOL],
        headers: {
          'User-Agent': USER_AGENT,
          ...(ticket.reason === undefined ? {} : { 'X-Goog-Request-Reason': ticket.reason }),
          Authorization: `Bearer ${ticket.token.reveal()}`,
        },
        agent: route.agentFor(url),
        connection,
        ca: route.ca,
        secureContext: certificate ? undefined : route.secureContext,
        ...(certificate && {
          certificate: {
            cert: certificate.certificate,
            key: certificate.key.reveal(),
            ...(certificate.passphrase && { passphrase: certificate.passphrase.reveal() }),
          },
        }),
        timeout: UPGRADE_LIMIT_MS,
        keepAlive: intervals.keepAlive,
        pongDeadline: intervals.deadPeer * PONG_DEADLINE_SHARE,
        wake: wake && { watch: wake, every: intervals.wake, probe: intervals.wakeProbe },
        tcpKeepAlive: TCP_KEEP_ALIVE_MS,
        maxMessageBytes: MAX_MESSAGE_BYTES,
        refused: (host, status) => {
          verdict = judgeStatus(status, request.phase, host, farEndName(ticket));
          return verdict.error;
        },
      },
      signal,
    );
  } catch (thrown) {
    signal.throwIfAborted();
    if (verdict !== undefined) return verdict;
    const error = asCloudtunError(thrown);
    return { do: mayPass(error, request.phase) ? 'again' : 'fail', error };
  }
}

/**
 * Whoever has a session comes back when the network does. Whoever asks for one is told at once, unless the connection broke after it
 * stood, which may be an accident.
 */
function mayPass(error: CloudtunError, phase: RelayRequest['phase']): boolean {
  const { kind } = ERROR_CATALOGUE[error.code];
  if (phase === 'reconnect') return kind === 'network' || kind === 'timeout';
  return error.code === 'CT_NETWORK' && ['ECONNRESET', 'EPIPE'].includes(systemCode(error.cause) ?? '');
}

import type { Duplex } from 'node:stream';
import type { TunnelStream } from '../domain/dialer.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { World } from '../runtime/world.ts';
import type { ProbeSubject, Readiness } from './forward-types.ts';

/**
 * A far side that was found to be there, and the stream that found it: kept for 8 s for the first client, so that the far side
 * sees one connection with a client on it and not a stranger who greets and hangs up (spec section 5.7).
 */
export interface ProbedFarSide {
  readonly readiness: Readiness;
  /**
   * Hands the kept stream, its greeting put back, to a client; the caller owns it from then on. Undefined when nothing is kept any
   * more, when another client was faster, or when this client opens in a way that does not fit what was already said on the kept
   * stream: then dial a fresh one. May read from `client` to see how it opens; what it read is put back. So `client` must not be
   * flowing yet and have no reader. Never rejects; settles at the latest 8 s after the probe.
   */
  takeOver(client: Duplex): Promise<TunnelStream | undefined>;
  /**
   * Ends a kept stream nobody took, in the way that does not count against this machine at the far side. Idempotent; at most 3 s;
   * also after `takeOver`, when it does nothing. Await it before the tunnel is closed. Never rejects.
   */
  release(): Promise<void>;
}

/**
 * Finds out whether the far side answers (spec sections 5.2, 5.7 and 5.8): one stream, never two.
 *
 * @param open one stream to the endpoint, such as `(signal) => tunnel.open(signal)`
 * @throws CT_REMOTE_SILENT when an engine that should greet says nothing for 10 s; CT_REMOTE_UNEXPECTED when it greets in another
 *   protocol; CT_DATABASE_REFUSED with the server's own words; what `open` and the stream fail with (CT_REMOTE_REFUSED …) as it is;
 *   the reason of `signal`
 */
export function probe(
  open: (signal: AbortSignal) => Promise<TunnelStream>,
  subject: ProbeSubject,
  world: World,
  signal: AbortSignal,
): Promise<ProbedFarSide> {
  void [open, subject, world, signal];
  return Promise.reject(new CloudtunError('CT_INTERNAL', 'the probe is not finished'));
}

import type { Hop } from '../broker/broker-types.ts';
import type { Dialer } from '../domain/dialer.ts';
import { type Target, targetLabel } from '../domain/target.ts';
import type { TunnelEventListener } from '../domain/tunnel-event.ts';
import type { Provider } from '../providers/provider.ts';
import type { World } from '../runtime/world.ts';
import type { HostKeyVerdict } from './host-keys.ts';
import { openLogin } from './open-login.ts';
import { sshHop } from './ssh-hop.ts';

/** Logs in to a machine on the way and says so. @throws as `openLogin` */
export async function openHop(
  world: World,
  place: { readonly provider: Provider; readonly target: Target; readonly dialer: Pick<Dialer, 'dial'> },
  { user, port }: { readonly user: string | undefined; readonly port: number },
  onEvent: TunnelEventListener,
  signal: AbortSignal,
): Promise<Hop> {
  let hostKey: HostKeyVerdict | undefined;
  let by = 'a key of your own';
  const opening = openLogin(
    world,
    place,
    { user, port, credentials: [], forwardAgent: undefined },
    {
      onUser: (guess, reason) => world.log.info(`logging in to ${targetLabel(place.target)} as ${guess}: ${reason}`),
      onAdmitted: (login) => {
        by = login.by;
      },
      onHostKey: (verdict) => {
        hostKey = verdict;
      },
      onBanner: () => {},
    },
    signal,
  );
  const connection = await opening.catch((error: unknown) => {
    // It is remembered by now, so this is the only time that anybody can be told.
    if (hostKey?.trust === 'first-use') onEvent({ type: 'warning', message: firstUse(place.target, hostKey) });
    throw error;
  });
  if (hostKey) onEvent({ type: 'hop', hop: targetLabel(place.target), user: connection.user, by, hostKey });
  return { ...sshHop(connection), closed: connection.closed };
}

function firstUse(target: Target, { type, fingerprint }: HostKeyVerdict): string {
  return `host key ${type} ${fingerprint} of ${targetLabel(target)} was seen for the first time, and is trusted from now on`;
}

import type { ServiceStatus } from '../forward/forward-types.ts';

/** A tunnel as programs outside see it, at the moment they look. */
export interface Monitored extends Omit<ServiceStatus, 'state' | 'each'> {
  readonly name: string;
  readonly state: ServiceStatus['state'] | 'lost';
  /** `127.0.0.1:13306`, the first address of each rule first. */
  readonly local: readonly string[];
  /** `orders-prod via bastion-a`, as far as it is known. */
  readonly target: string;
}

/** What has to be ready, in the order in which it was named. */
export interface MonitoredSet {
  /** Everything that was asked for; what is not held (yet, or any more) is missing in `tunnels`. */
  readonly names: readonly string[];
  readonly tunnels: readonly Monitored[];
  /** The process is told to end. */
  readonly isEnding: boolean;
}

/** Why something is not ready. */
export interface NotReady {
  readonly tunnel: string;
  /** The state of the tunnel; `absent` where none is held. */
  readonly state: Monitored['state'] | 'absent';
  readonly code?: string;
  readonly message?: string;
}

/** Nothing: everything that was asked for can be used. A port that opens its session on demand can be used. */
export function notReady({ names, tunnels, isEnding }: MonitoredSet): readonly NotReady[] {
  return names.flatMap((name): readonly NotReady[] => {
    const tunnel = tunnels.find((each) => each.name === name);
    if (tunnel === undefined) return [{ tunnel: name, state: 'absent' }];
    const { state, lastTrouble } = tunnel;
    if ((state === 'ready' || state === 'waiting') && !isEnding) return [];
    const isTrouble = state === 'reconnecting' || state === 'lost' || state === 'closed';
    return [
      {
        tunnel: name,
        state: isEnding && (state === 'ready' || state === 'waiting') ? 'draining' : state,
        ...(isTrouble && lastTrouble?.code !== undefined && { code: lastTrouble.code }),
        ...(isTrouble && lastTrouble !== undefined && { message: lastTrouble.message }),
      },
    ];
  });
}

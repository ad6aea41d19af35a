import { asCloudtunError, type CloudtunError } from '../domain/errors.ts';
import type { Intervals } from '../domain/intervals.ts';
import type { Millis } from '../domain/millis.ts';
import { pauseUnlessWoken, type WakeWatch } from '../runtime/wake-watch.ts';
import type { World } from '../runtime/world.ts';
import type { Renewal } from './core/renewal.ts';

/** What one round of trying is about. */
export interface Round<Opened> {
  readonly world: World;
  readonly intervals: Intervals;
  readonly wake: WakeWatch | undefined;
  readonly renewal: Renewal;
  /** @param isFresh whether the way there is to be asked for again */
  open(isFresh: boolean, signal: AbortSignal): Promise<Opened>;
  /** An attempt failed. @param heldFor how much longer those who wait are held; 0 where they are refused now */
  failed(error: CloudtunError, attempt: number, heldFor: Millis): void;
  /** Trying again makes no sense any more. */
  lost(error: CloudtunError): void;
}

/**
 * One round of trying, as the renewal says: shared by all who wait.
 *
 * @throws the failure that ended it; the reason of `signal`
 */
export async function openAgain<Opened>(round: Round<Opened>, signal: AbortSignal): Promise<Opened> {
  const { world, renewal, wake, intervals } = round;
  const watch = wake && { watch: wake, every: intervals.wake };
  const { clock, random } = world;
  const startedAt = clock.now();
  renewal.begin();
  for (let attempt = 1; ; attempt += 1) {
    const step = renewal.next(clock.now(), startedAt);
    switch (step.do) {
      case 'wait':
        if ((await pauseUnlessWoken(clock, step.until - clock.now(), watch, signal)) === 'woken') renewal.woke();
        break;
      case 'open':
        try {
          return await round.open(step.route === 'resolve', signal);
        } catch (thrown) {
          if (signal.aborted) throw signal.reason;
          const error = asCloudtunError(thrown);
          const now = clock.now();
          renewal.failed(error, now, random.fraction());
          const isOver = !/^(wait|open)$/.test(renewal.next(now, startedAt).do);
          round.failed(error, attempt, isOver ? 0 : startedAt + renewal.holds(error) - now);
        }
        break;
      case 'lost':
        round.lost(step.error);
        throw step.error;
      case 'refuse':
        throw step.error;
    }
  }
}

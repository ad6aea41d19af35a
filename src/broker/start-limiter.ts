import { CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import type { Timer } from '../runtime/clock.ts';
import type { World } from '../runtime/world.ts';
import { type PacedStart, StartPace } from './core/start-pace.ts';

/** Somebody waits for the session; a longer outage of the service is told instead of waited for. Guessed. */
const THROTTLE_PATIENCE: Millis = 45_000;

/**
 * Lets sessions be started at a pace that clouds bear: one for a whole process, whatever opens tunnels in it. What is refused for
 * being too fast is tried again when its turn comes.
 */
export class StartLimiter {
  readonly #world: World;
  readonly #pace = new StartPace();
  readonly #waiting = new Map<PacedStart, () => void>();
  #timer: Timer | undefined;

  constructor(world: World) {
    this.#world = world;
  }

  /**
   * @param tunnel whose turn it is
   * @param account which account would complain
   * @param start asks the cloud
   * @param signal calls off the waiting; a call under way is the caller's to call off
   * @throws what `start` throws, CT_THROTTLED after 45 s of it; the reason of `signal`
   */
  async run<Result>(
    tunnel: object,
    account: string,
    start: () => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result> {
    const { clock, random, log } = this.#world;
    const paced: PacedStart = { tunnel, account };
    const askedAt = clock.now();
    for (let isAgain = false; ; isAgain = true) {
      await this.#turn(paced, isAgain, signal);
      try {
        const result = await start();
        this.#pace.done(paced);
        return result;
      } catch (thrown) {
        if (!(thrown instanceof CloudtunError) || thrown.code !== 'CT_THROTTLED') {
          this.#pace.done(paced);
          throw thrown;
        }
        this.#pace.throttled(paced, clock.now(), thrown.retryAfter, random.fraction());
        if (signal.aborted || clock.now() - askedAt >= THROTTLE_PATIENCE) throw thrown;
        log.info('the cloud asked to start sessions more slowly; trying again');
      } finally {
        this.#advance();
      }
    }
  }

  #turn(start: PacedStart, isAgain: boolean, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#waiting.delete(start);
        this.#pace.withdraw(start);
        reject(signal.reason);
      };
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.set(start, () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      });
      this.#pace.ask(start, isAgain);
      this.#advance();
    });
  }

  #advance(): void {
    const { clock } = this.#world;
    this.#timer?.cancel();
    this.#timer = undefined;
    for (;;) {
      const step = this.#pace.next(clock.now());
      if (step === undefined) return;
      if (step.do === 'wait') {
        // Not before it is due: a timer may fire a fraction of a millisecond early.
        this.#timer = clock.after(Math.max(1, step.until - clock.now()), () => this.#advance());
        return;
      }
      const go = this.#waiting.get(step.start);
      this.#waiting.delete(step.start);
      go?.();
    }
  }
}

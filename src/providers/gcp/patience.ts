import { CloudtunError } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import type { World } from '../../runtime/world.ts';
import type { HttpAnswer, HttpRequest, HttpSender } from './http-sender.ts';

/** As in Google's own clients: three more tries, half a second and doubling. */
const TRIES = 4;
const FIRST_DELAY: Millis = 500;
/** A server may ask for more; a person at a terminal would rather be told. */
const LONGEST_DELAY: Millis = 10_000;
const BUSY = [408, 429, 500, 502, 503, 504];

export interface PatienceOptions {
  /** False for what must not be done twice; a busy server is asked again all the same, because it did nothing. */
  readonly isSafe?: boolean;
  /** More answers that only say "later", such as a quota told by 403. */
  readonly isBusy?: (answer: HttpAnswer) => boolean;
}

/** Sends, and sends again while the service is busy or the connection breaks. The last answer is returned whatever it is. */
export async function sendPatiently(
  world: World,
  http: HttpSender,
  request: HttpRequest,
  options: PatienceOptions,
  signal?: AbortSignal,
): Promise<HttpAnswer> {
  for (let attempt = 1; ; attempt++) {
    let delay: Millis = FIRST_DELAY * 2 ** (attempt - 1) * (0.75 + world.random.fraction() / 2);
    try {
      const answer = await http.send(request, signal);
      const isBusy = BUSY.includes(answer.status) || options.isBusy?.(answer) === true;
      if (!isBusy || attempt === TRIES) return answer;
      const asked = Number(answer.headers['retry-after']) * 1_000;
      if (asked > LONGEST_DELAY) return answer;
      if (asked > delay) delay = asked;
    } catch (error) {
      const isPassing = error instanceof CloudtunError && error.code === 'CT_NETWORK';
      if (!isPassing || options.isSafe === false || attempt === TRIES || request.within !== undefined) throw error;
    }
    await world.clock.sleep(delay, signal);
  }
}

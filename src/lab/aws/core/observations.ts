/**
 * What the gateway and the managed nodes saw: counters, and the rules of the protocol that the client broke. Tests read them to catch
 * our client; `lab status` shows them.
 */

/** Numbers since the start, for one session or the sum of all. Messages are binary data-channel messages. */
export interface Counters {
  sessions: number;
  /** Websockets that were opened with a right token. */
  websockets: number;
  /** Websockets cut or closed by a fault, "Bye" included. */
  cuts: number;
  /** Data messages from the client, repeated ones included. */
  inputMessages: number;
  inputPayloadBytes: number;
  largestInputPayload: number;
  /** Input numbers below the expected one: the client sent again what was here already. */
  inputRepeats: number;
  /** Input that came too early and was kept. */
  inputReordered: number;
  /** Most messages held back at once because an earlier one was missing. */
  maxReorder: number;
  /** First sendings of the agent's data messages. */
  outputMessages: number;
  outputPayloadBytes: number;
  /** Sent again by the agent's timer. */
  outputResends: number;
  maxUnacknowledged: number;
  /** Beyond the agent's list of 100,000: sent once and forgotten. */
  outputNotKept: number;
  /** Made while the agent was paused: they leave by the resend timer, one each 100 ms. */
  outputWhilePaused: number;
  acknowledgesSent: number;
  acknowledgesSeen: number;
  inputLost: number;
  outputLost: number;
  duplicated: number;
  reordered: number;
  /** Output that nobody was there to take. */
  outputDroppedAway: number;
  secondHandshakeResponses: number;
  streams: number;
  streamsRefused: number;
  nops: number;
}

export function noCounts(): Counters {
  return {
    sessions: 0,
    websockets: 0,
    cuts: 0,
    inputMessages: 0,
    inputPayloadBytes: 0,
    largestInputPayload: 0,
    inputRepeats: 0,
    inputReordered: 0,
    maxReorder: 0,
    outputMessages: 0,
    outputPayloadBytes: 0,
    outputResends: 0,
    maxUnacknowledged: 0,
    outputNotKept: 0,
    outputWhilePaused: 0,
    acknowledgesSent: 0,
    acknowledgesSeen: 0,
    inputLost: 0,
    outputLost: 0,
    duplicated: 0,
    reordered: 0,
    outputDroppedAway: 0,
    secondHandshakeResponses: 0,
    streams: 0,
    streamsRefused: 0,
    nops: 0,
  };
}

const LARGEST: ReadonlySet<string> = new Set(['largestInputPayload', 'maxReorder', 'maxUnacknowledged']);

/** Adds `more` to `sum`; for the "most" and "largest" ones the larger. */
export function addCounts(sum: Counters, more: Readonly<Counters>): void {
  for (const key of Object.keys(sum) as (keyof Counters)[]) {
    sum[key] = LARGEST.has(key) ? Math.max(sum[key], more[key]) : sum[key] + more[key];
  }
}

/** Violations told per session; a client that breaks a rule on every message is known well enough by then. */
const MAX_VIOLATIONS = 200;

/** One session's counters, and where its violations go. */
export class Observations {
  readonly counters: Counters = noCounts();
  readonly #report: (what: string) => void;
  #violationCount = 0;

  constructor(report: (what: string) => void) {
    this.#report = report;
  }

  violation(what: string): void {
    this.#violationCount += 1;
    if (this.#violationCount <= MAX_VIOLATIONS) this.#report(what);
  }
}

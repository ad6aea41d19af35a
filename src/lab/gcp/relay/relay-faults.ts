/**
 * What can be made to go wrong in the lab's IAP relay, as one JSON value: the lab's control endpoint POSTs it (`relay`), tests set it
 * directly. A plan holds for the whole lab and may change at any time; live sessions follow. The defaults are the service as
 * docs/protocol/iap.md describes it, without any fault.
 *
 * `input` is client → service, `output` is service → client. A message is one binary websocket message, a frame of the relay. Message
 * and byte numbers count from 1 since the start of a session, over all its websockets; bytes are those of messages, headers of
 * frames included.
 */
import { z } from 'zod';

const percent = z.number().min(0).max(100);
const duration = z.number().min(0);
const position = z.int().min(1);
const closeCode = z.int().min(1000).max(4999);
const count = z.int().min(0);

const cutSchema = z.strictObject({
  /** The websocket is cut instead of carrying these messages. */
  messages: z.array(position),
  /** The websocket is cut in the middle of the messages that hold these bytes (a `close` cut: before them). */
  bytes: z.array(position),
  /** A cut each time so many bytes have passed; 0: never. */
  everyBytes: count,
  /** No more cuts than this in a session. */
  atMost: count,
});

const closeSchema = z.strictObject({
  /** Payload bytes in both directions together after which the session is closed. */
  afterBytes: count,
  code: closeCode,
  reason: z.string().max(123).default(''),
});

const injectionSchema = z.strictObject({
  /** Sent after the n-th DATA message of the session; 0: right after tag 1. */
  afterOutput: count,
  hex: z.string().regex(/^([0-9a-f]{2})*$/),
  /** `binary`, `text`: a whole websocket message; `raw`: bytes on the socket, whatever they are. */
  as: z.enum(['binary', 'text', 'raw']).default('binary'),
});

/** The next `times` upgrades are answered so. */
const refusalSchema = z.strictObject({ status: z.int().min(400).max(599), times: count });
const rejectionSchema = z.strictObject({ code: closeCode, reason: z.string().max(123).default(''), times: count });

const planSchema = z.strictObject({
  /** Decides what percentages pick: the same seed, the same picks. */
  seed: z.int(),
  /** One way, added to each message; order is kept. */
  inputLatencyMs: duration,
  outputLatencyMs: duration,
  cutInput: cutSchema,
  cutOutput: cutSchema,
  /** How a cut looks: TCP reset, FIN without a Close, or a Close with `cutCode`. */
  cutAs: z.enum(['reset', 'fin', 'close']),
  cutCode: closeCode,
  cutReason: z.string().max(123),
  /** Payload that came before a cut in the middle of a DATA message counts: the client's total then falls inside a frame of its own. */
  takePartialInput: z.boolean(),

  /** Most payload bytes that the service puts into one DATA frame. */
  maxPayload: z.int().min(1).max(16_384),
  /** Of the DATA frames, so many are split in two at random. */
  splitPercent: percent,
  /** Before so many of them a DATA frame of one byte is cut off. */
  oneBytePercent: percent,
  /** After so many of them left-over bytes stand in the message. */
  trailingPercent: percent,
  /** Before so many of them a message with a tag that nobody knows, or an empty DATA frame. */
  unknownTagPercent: percent,
  emptyDataPercent: percent,
  injections: z.array(injectionSchema),

  /** Bytes that the client may send before an ACK; 0: an ACK for each DATA frame. */
  ackEveryBytes: count,
  /** An ACK that is owed waits so long for more. */
  ackDelayMs: duration,
  /** No ACK at all. */
  withholdAcks: z.boolean(),
  /** ACKs stay so many bytes behind, so that they fall inside the client's frames; the rest follows after 200 ms of quiet. */
  ackShortOfBytes: count,
  /** After each ACK another one that says the same. */
  repeatAcks: z.boolean(),

  /** No tag 1 or 2 before so long after the upgrade. */
  firstFrameDelayMs: duration,
  /** The next so many upgrades are accepted, and nothing ever comes. */
  silentUpgrades: count,
  refuseConnects: refusalSchema,
  refuseReconnects: refusalSchema,
  /** The next connects get this Close instead of tag 1. */
  rejectConnects: rejectionSchema,
  rejectReconnects: rejectionSchema,
  /** The next so many reconnects find their session gone: 4001. */
  forgetSessions: count,
  /** A reconnect while another websocket carries the session: refused with 4002, or it takes over. */
  secondWebsocket: z.enum(['refuse', 'take-over']),
  closes: z.array(closeSchema),
  /** A LONG_CLOSE frame before each Close. */
  longClose: z.boolean(),
  longCloseReason: z.string().max(4_096),
  /** Nothing is read and nothing is sent from now on, or once so many payload bytes passed; 0: never. */
  freeze: z.boolean(),
  freezeAfterBytes: count,

  /** Close 4004 so long after each upgrade, or each time so many payload bytes passed; 0: never. Google's rule is not known. */
  reauthenticateAfterMs: duration,
  reauthenticateEveryBytes: count,
  /** What a websocket with a wrong, expired or revoked token gets. */
  wrongToken: z.enum(['http-401', 'close-4033']),
  /** Bytes sent and not acknowledged at which the backend is not read any more. */
  windowBytes: z.int().min(1),
  /** A session without traffic ends after so long; what the service closes with is not known. */
  idleLimitMs: duration,
  idleCode: closeCode,
  /** A session waits so long for its client to come back. */
  resumeLimitMs: duration,
  /** The service's own limit for the connection to the backend; what is behind a firewall gets 4003 then. */
  backendLimitMs: duration,
  /** The Close after the backend's FIN, and after its reset. */
  endCode: closeCode,
  errorCode: closeCode,
  answerPings: z.boolean(),
  /** How many frames the journal keeps for each session; 0: none. */
  journalFrames: count,
});

const partial = <T extends z.ZodRawShape>(schema: z.ZodObject<T>) => schema.partial().strict().optional();

/** What may be POSTed, which is some part of a plan. */
export const relayPatchSchema = z.strictObject({
  ...planSchema.partial().shape,
  cutInput: partial(cutSchema),
  cutOutput: partial(cutSchema),
});

export type RelayPlan = z.infer<typeof planSchema>;
export type RelayPatch = z.input<typeof relayPatchSchema>;

const NO_CUTS: RelayPlan['cutInput'] = { messages: [], bytes: [], everyBytes: 0, atMost: 1_000_000 };

export const DEFAULT_RELAY_PLAN: RelayPlan = {
  seed: 1,
  inputLatencyMs: 0,
  outputLatencyMs: 0,
  cutInput: NO_CUTS,
  cutOutput: NO_CUTS,
  cutAs: 'reset',
  cutCode: 1011,
  cutReason: '',
  takePartialInput: false,
  maxPayload: 16_384,
  splitPercent: 0,
  oneBytePercent: 0,
  trailingPercent: 0,
  unknownTagPercent: 0,
  emptyDataPercent: 0,
  injections: [],
  ackEveryBytes: 0,
  ackDelayMs: 0,
  withholdAcks: false,
  ackShortOfBytes: 0,
  repeatAcks: false,
  firstFrameDelayMs: 0,
  silentUpgrades: 0,
  refuseConnects: { status: 503, times: 0 },
  refuseReconnects: { status: 503, times: 0 },
  rejectConnects: { code: 4000, reason: '', times: 0 },
  rejectReconnects: { code: 4000, reason: '', times: 0 },
  forgetSessions: 0,
  secondWebsocket: 'refuse',
  closes: [],
  longClose: false,
  longCloseReason: '',
  freeze: false,
  freezeAfterBytes: 0,
  reauthenticateAfterMs: 3_600_000,
  reauthenticateEveryBytes: 0,
  wrongToken: 'http-401',
  windowBytes: 1_500_000,
  idleLimitMs: 3_600_000,
  idleCode: 1000,
  resumeLimitMs: 900_000,
  backendLimitMs: 120_000,
  endCode: 4010,
  errorCode: 4009,
  answerPings: true,
  journalFrames: 200,
};

/** The plan in force, and what of its counted faults is left. `set` replaces what was set before; a ZodError tells what is wrong. */
export class RelayFaults {
  #plan: RelayPlan = DEFAULT_RELAY_PLAN;
  readonly #used = new Map<string, number>();
  readonly #listeners = new Set<() => void>();

  constructor(patch: RelayPatch = {}) {
    this.set(patch);
  }

  plan(): RelayPlan {
    return this.#plan;
  }

  /** The defaults with `patch` on top. `{}` ends all faults. */
  set(patch: RelayPatch): void {
    const given = Object.fromEntries(
      Object.entries(relayPatchSchema.parse(patch)).filter(([, value]) => value !== undefined),
    ) as Partial<RelayPlan>;
    this.#plan = {
      ...DEFAULT_RELAY_PLAN,
      ...given,
      cutInput: { ...NO_CUTS, ...given.cutInput },
      cutOutput: { ...NO_CUTS, ...given.cutOutput },
    };
    this.#used.clear();
    for (const listener of [...this.#listeners]) listener();
  }

  /** Whether a fault that strikes `times` times strikes now; counts it. */
  strikes(name: string, times: number): boolean {
    const used = this.#used.get(name) ?? 0;
    if (used >= times) return false;
    this.#used.set(name, used + 1);
    return true;
  }

  /** Calls `listener` after each change. Returns how to stop it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

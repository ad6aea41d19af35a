/**
 * What can be made to go wrong in the lab's message gateway and managed nodes, as one JSON value: the lab's control endpoint POSTs
 * it, tests set it directly. A plan holds for the whole lab, or for one session on top of that; it may change at any time and live
 * sessions follow. The defaults are the official agent and the service as docs/protocol/ssm.md describes them, without any fault.
 *
 * Messages are the binary ones of the data channel, acknowledges included. `input` is client → node, `output` is node → client.
 * Message and byte numbers count from 1 since the start of the session, over all its websockets.
 */
import { z } from 'zod';
import { DEFAULT_MESSAGE_PAYLOAD } from '../../transport/ssm/core/wire-format.ts';
import type { Session } from './sessions.ts';

const percent = z.number().min(0).max(100);
const duration = z.number().min(0);
const position = z.int().min(1);

const directionSchema = z.strictObject({
  /** One way, added to each message. */
  latencyMs: duration,
  lossPercent: percent,
  duplicatePercent: percent,
  reorderPercent: percent,
  /** How late, at most, a reordered or duplicated message comes. */
  reorderMs: duration,
});

const cutSchema = z.strictObject({
  /** The websocket is cut instead of carrying these messages. */
  messages: z.array(position),
  /** The websocket is cut in the middle of the messages that hold these bytes (always without a close frame). */
  bytes: z.array(position),
  /** A cut each time so many bytes have passed; 0: never. */
  everyBytes: z.int().min(0),
});

const injectionSchema = z.strictObject({
  /** Sent after the n-th output message of the session; 0: as soon as a client is there. */
  afterOutput: z.int().min(0),
  hex: z.string().regex(/^([0-9a-f]{2})*$/),
  /** `binary`, `text`: a whole websocket message; `raw`: bytes on the socket, whatever they are. */
  as: z.enum(['binary', 'text', 'raw']).default('binary'),
  repeat: z.int().min(1).max(1_000_000).default(1),
});

const planSchema = z.strictObject({
  /** Decides which messages loss, duplication and reordering pick: the same seed, the same picks. */
  seed: z.int(),
  input: directionSchema,
  output: directionSchema,
  cutInput: cutSchema,
  cutOutput: cutSchema,
  /** How a cut looks: 1006 destroys the socket, any other code is sent in a close frame. */
  cutCode: z.int().min(1000).max(4999),
  cutReason: z.string().max(123),
  /** The service's own close of each websocket after a while: "Bye". 0: never. */
  byeAfterMs: duration,
  byeCode: z.int().min(1000).max(4999),
  byeReason: z.string().max(123),
  /** How many ResumeSession calls are refused; `forever` is a number too large to count down. */
  refuseResumes: z.union([z.int().min(0), z.literal('forever')]),
  /** `expired`: an answer without TokenValue; `unknown`: DoesNotExistException. */
  refuseResumesWith: z.enum(['expired', 'unknown']),
  /** Nodes whose agent is gone: their sessions stop dead, and new ones are TargetNotConnected. */
  deadNodes: z.array(z.string()),
  /** The agent dies after so many output messages of a session; 0: never. */
  agentDiesAfterOutput: z.int().min(0),
  /** Right after HandshakeComplete the agent leaves data unacknowledged for so long. */
  notReadyMs: duration,
  /** How often the HandshakeRequest is sent at once. */
  handshakeRequests: z.int().min(1).max(100),
  /** The HandshakeRequest comes once more after each resume. */
  handshakeRequestAfterResume: z.boolean(),
  /** HandshakeComplete leaves before the acknowledge of the response (seen with the official agent). */
  completeBeforeAcknowledge: z.boolean(),
  injections: z.array(injectionSchema),
  /** Output messages whose payload is changed on the way, so that the digest is wrong. */
  corruptOutput: z.array(position),
  /** Pause of the agent after each output message, as the official one; false: as fast as the socket takes it. */
  pacing: z.boolean(),
  paceMs: duration,
  /** Most payload bytes that the agent puts into one message. */
  messagePayload: z.int().min(1).max(1_048_576),
  /** Checks digests, ids and repeated numbers of input. The official agent checks none of it; here a mismatch is a violation. */
  verifyInput: z.boolean(),
  /** Unsigned upgrades are refused with 403. */
  requireSignedUpgrade: z.boolean(),
  /** Adds `&cell-number=<base64>` to stream URLs; empty: none. */
  cellNumber: z.string(),
  /** Sends `start_publication` when a client is connected. */
  startPublication: z.boolean(),
  /** Tells the agent to pause while no client is connected; false: what it sends meanwhile is dropped. */
  pauseWhenAway: z.boolean(),
  /** Sends `pause_publication` to the client now and keeps its input back until this is false again. */
  pauseClient: z.boolean(),
  answerPings: z.boolean(),
  /** Limit for the first text frame. */
  openLimitMs: duration,
  /** The service ends a session that had no input for so long. */
  idleLimitMs: duration,
});

const loosely = <T extends z.ZodRawShape>(schema: z.ZodObject<T>) => schema.partial().strict();

/** What may be POSTed, which is some part of a plan. */
export const faultPatchSchema = z.strictObject({
  ...planSchema.partial().shape,
  input: loosely(directionSchema).optional(),
  output: loosely(directionSchema).optional(),
  cutInput: loosely(cutSchema).optional(),
  cutOutput: loosely(cutSchema).optional(),
});

export type FaultPlan = z.infer<typeof planSchema>;
export type DirectionFaults = z.infer<typeof directionSchema>;
export type CutPlan = z.infer<typeof cutSchema>;
export type Injection = z.infer<typeof injectionSchema>;
export type FaultPatch = z.input<typeof faultPatchSchema>;

const NO_FAULTS: DirectionFaults = {
  latencyMs: 0,
  lossPercent: 0,
  duplicatePercent: 0,
  reorderPercent: 0,
  reorderMs: 5,
};
const NO_CUTS: CutPlan = { messages: [], bytes: [], everyBytes: 0 };

export const DEFAULT_FAULT_PLAN: FaultPlan = {
  seed: 1,
  input: NO_FAULTS,
  output: NO_FAULTS,
  cutInput: NO_CUTS,
  cutOutput: NO_CUTS,
  cutCode: 1006,
  cutReason: '',
  byeAfterMs: 3_600_000,
  byeCode: 1000,
  byeReason: 'Bye',
  refuseResumes: 0,
  refuseResumesWith: 'expired',
  deadNodes: [],
  agentDiesAfterOutput: 0,
  notReadyMs: 0,
  handshakeRequests: 1,
  handshakeRequestAfterResume: false,
  completeBeforeAcknowledge: false,
  injections: [],
  corruptOutput: [],
  pacing: true,
  paceMs: 1,
  messagePayload: DEFAULT_MESSAGE_PAYLOAD,
  verifyInput: true,
  requireSignedUpgrade: false,
  cellNumber: '',
  startPublication: true,
  pauseWhenAway: true,
  pauseClient: false,
  answerPings: true,
  openLimitMs: 30_000,
  idleLimitMs: 1_200_000,
};

/** `over` on top of `plan`: directions and cuts part by part, everything else (lists too) replaced. */
function withPatch(plan: FaultPlan, over: z.output<typeof faultPatchSchema>): FaultPlan {
  const given = Object.fromEntries(Object.entries(over).filter(([, value]) => value !== undefined));
  return {
    ...plan,
    ...given,
    input: { ...plan.input, ...over.input },
    output: { ...plan.output, ...over.output },
    cutInput: { ...plan.cutInput, ...over.cutInput },
    cutOutput: { ...plan.cutOutput, ...over.cutOutput },
  } as FaultPlan;
}

/** The plans in force. `set` and `setSession` replace what was set before; a ZodError tells what is wrong with a patch. */
export class FaultBoard {
  #lab: FaultPlan = DEFAULT_FAULT_PLAN;
  readonly #patches = new Map<string, z.output<typeof faultPatchSchema>>();
  readonly #plans = new Map<string, FaultPlan>();
  #refused = 0;
  readonly #listeners = new Set<() => void>();

  constructor(patch: FaultPatch = {}) {
    this.set(patch);
  }

  /** The plan of the lab; for one session what was set for it on top. */
  plan(sessionId?: string): FaultPlan {
    if (sessionId === undefined) return this.#lab;
    const patch = this.#patches.get(sessionId);
    if (patch === undefined) return this.#lab;
    let plan = this.#plans.get(sessionId);
    if (plan === undefined) {
      plan = withPatch(this.#lab, patch);
      this.#plans.set(sessionId, plan);
    }
    return plan;
  }

  /** Replaces the lab's plan: the defaults with `patch` on top. `{}` ends all faults of the lab. */
  set(patch: FaultPatch): void {
    this.#lab = withPatch(DEFAULT_FAULT_PLAN, faultPatchSchema.parse(patch));
    this.#refused = 0;
    this.#changed();
  }

  /** Replaces what one session has on top of the lab's plan; undefined takes it away. */
  setSession(sessionId: string, patch: FaultPatch | undefined): void {
    if (patch === undefined) this.#patches.delete(sessionId);
    else this.#patches.set(sessionId, faultPatchSchema.parse(patch));
    this.#changed();
  }

  isNodeDead(targetId: string): boolean {
    return this.#lab.deadNodes.includes(targetId);
  }

  /** For `SessionStoreOptions.resumeVerdict`: counts refusals down. */
  resumeVerdict(session: Pick<Session, 'sessionId'>): 'expired' | 'unknown' | undefined {
    const { refuseResumes, refuseResumesWith } = this.plan(session.sessionId);
    if (refuseResumes !== 'forever' && this.#refused >= refuseResumes) return undefined;
    this.#refused += 1;
    return refuseResumesWith;
  }

  /** For `SessionStoreOptions.cellNumber`. */
  cellNumber(): string | undefined {
    return this.#lab.cellNumber === '' ? undefined : encodeURIComponent(this.#lab.cellNumber);
  }

  /** Calls `listener` after each change. Returns how to stop it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #changed(): void {
    this.#plans.clear();
    for (const listener of [...this.#listeners]) listener();
  }
}

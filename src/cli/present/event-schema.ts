import { z } from 'zod';
import { SESSION_END_CAUSES } from '../../domain/session-ending.ts';
import { ENGINES, PROVIDER_IDS, TARGET_KINDS } from '../../domain/target.ts';

/*
 * The JSON lines of `rds --json`, `sql --json`, `forward --json` and `socks --json`, and the error object of every `--json`: public, so fields are added and
 * never renamed. docs/reference/events.schema.json is generated from here (scripts/events-schema.ts).
 */

const count = z.int().min(0);
const instant = z.iso.datetime().meta({ description: 'UTC' });

export const errorSchema = z
  .object({
    code: z.string().regex(/^CT_[A-Z_]+$/),
    message: z.string(),
    kind: z.string(),
    exitCode: z.int().min(1).max(255),
    retryable: z.boolean().meta({ description: 'the same call may succeed later without a person doing anything' }),
    details: z.array(z.object({ label: z.string(), text: z.string() })),
    hints: z.array(z.string()),
    causes: z.array(z.object({ name: z.string(), code: z.string().optional(), message: z.string() })),
    page: z.string(),
  })
  .meta({ id: 'error' });

const at = {
  at: instant,
  tunnel: z.string().optional().meta({ description: 'of up and exec: which tunnel, by its name' }),
};

const nodeSchema = z.object({ id: z.string(), name: z.string().optional() });

const rule = { rule: count.meta({ description: 'which -L, counted from 0 in the order given' }) };

const endpoint = z.object({ host: z.string().optional(), port: z.int().min(1).max(65_535) });

const readySchema = z.object({
  event: z.literal('ready'),
  ...at,
  ...rule,
  readiness: z.enum(['ready', 'open']).meta({
    description:
      'ready: the far side greeted or answered, or took the connection; open: the connect was passed on and nothing refused it',
  }),
  greeting: z.string().optional(),
  local: z
    .array(z.object({ host: z.string(), port: z.int().min(1).max(65_535) }))
    .meta({ description: 'empty only in the library, where a tunnel may have no port' }),
  target: z.object({
    provider: z.enum(PROVIDER_IDS),
    kind: z.enum([...TARGET_KINDS, 'far-host']),
    id: z.string(),
    name: z.string().optional(),
    engine: z.enum(ENGINES).optional(),
    engineLabel: z.string().optional(),
  }),
  to: endpoint.optional().meta({
    description:
      'as the far machine sees it; without host: the machine itself; absent for socks, whose clients name theirs',
  }),
  remote: z
    .object({ host: z.string(), port: z.int().min(1).max(65_535) })
    .optional()
    .meta({
      description:
        'of expose and ssh -R: what the sshd of the far machine listens on (host: localhost, an address, or empty for all); `local` is the service here',
    }),
  pac: z.url().optional().meta({ description: 'of socks: where the proxy auto-configuration file is' }),
  held: z
    .boolean()
    .optional()
    .meta({ description: 'a supervisor holds it, and goes on holding it when the command ends' }),
  via: nodeSchema
    .optional()
    .meta({ description: 'the machine in between; absent when the target is dialled directly' }),
  region: z.string().optional(),
  project: z.string().optional(),
  profile: z.string().optional(),
  expiresAt: z.union([instant, z.null()]).meta({ description: 'null: no time limit' }),
});

const waitingSchema = z.object({
  event: z.literal('waiting').meta({ description: 'it listens; the session is opened at the first connection' }),
  ...at,
  ...rule,
  local: readySchema.shape.local,
  expiresAt: readySchema.shape.expiresAt,
});

const clientSchema = z.object({
  event: z.literal('client'),
  ...at,
  change: z.enum(['connected', 'closed']),
  ...rule,
  connection: z.int().min(1).meta({ description: 'counts the connections of this command from 1' }),
  from: z.string().meta({ description: "the client's address" }),
  to: endpoint.optional().meta({ description: 'of socks: where it goes; without host: the machine itself' }),
  clients: count.meta({ description: 'open after this change' }),
  bytesUp: count.meta({ description: 'of this connection' }),
  bytesDown: count.meta({ description: 'of this connection' }),
  error: errorSchema.optional(),
});

const refusedSchema = z
  .object({
    event: z.literal('refused'),
    ...at,
    from: z.string().meta({ description: "the client's address" }),
    to: endpoint.optional().meta({ description: 'what it asked for, when it said so' }),
    error: errorSchema,
  })
  .meta({
    description:
      'of socks: a client asked for what it cannot have, and nothing was dialled for it; of expose: a caller that may not connect',
  });

const destinationSchema = z.object({
  to: z.string().meta({ description: 'host:port' }),
  connections: count,
  failed: count.meta({ description: 'of these, how many ended in an error' }),
  bytesUp: count,
  bytesDown: count,
});

const sessionId = { sessionId: z.string() };

const endingSchema = z.object({
  cause: z.enum(SESSION_END_CAUSES),
  by: z.enum(['us', 'service', 'network']),
  closeCode: count.optional().meta({ description: 'of its last websocket' }),
  sent: count.optional().meta({ description: 'messages, or bytes where the protocol counts those' }),
  acknowledged: count.optional(),
  received: count.optional(),
  next: z.enum(['new-session', 'nothing']).optional(),
});

const closeReasons = ['interrupted', 'ttl', 'idle', 'max-bytes', 'policy', 'lost', 'ended', 'failed'] as const;

export const eventSchema = z
  .discriminatedUnion('event', [
    readySchema,
    waitingSchema,
    clientSchema,
    refusedSchema,
    z.object({ event: z.literal('phase'), ...at, phase: z.string(), durationMs: z.number().min(0) }),
    z.object({
      event: z.literal('session'),
      ...at,
      ...sessionId,
      change: z.enum(['started', 'ended', 'stalled']),
      reason: z.string().optional().meta({ description: 'of a further session: asked, load, stalled or connection' }),
      sessions: z.int().min(2).optional().meta({ description: 'of a further session: how many there are with it' }),
      ending: endingSchema.optional().meta({ description: 'of a session that ended' }),
    }),
    z.object({
      event: z.literal('sign-in'),
      ...at,
      change: z.enum(['needed', 'done']),
      heldForMs: count.optional().meta({ description: 'how long new connections wait for a person to sign in' }),
      afterMs: count.optional().meta({ description: 'how long it was needed' }),
      error: errorSchema.optional(),
    }),
    z.object({
      event: z.literal('moved').meta({
        description: 'the target is elsewhere: the next connection gets a new session, open ones may end on the old',
      }),
      ...at,
      reason: z.string(),
      openStreams: count,
    }),
    z.object({ event: z.literal('reconnecting'), ...at, ...sessionId, reason: z.string(), attempt: count }),
    z.object({
      event: z.literal('renewed'),
      ...at,
      ...sessionId,
      how: z.enum(['resumed', 'new-session']),
      downtimeMs: z.number().min(0),
    }),
    z.object({ event: z.literal('stream-reset'), ...at, ...sessionId, error: errorSchema }),
    z.object({
      event: z.literal('expiring'),
      ...at,
      because: z.enum(['ttl', 'idle', 'hours', 'max-bytes']),
      leftMs: z.number().min(0).optional().meta({ description: 'absent for max-bytes' }),
      leftBytes: count.optional().meta({ description: 'of max-bytes: both directions together' }),
    }),
    z.object({ event: z.literal('draining'), ...at, clients: count, because: z.enum(closeReasons) }),
    z
      .object({
        event: z.literal('hop'),
        ...at,
        hop: z.string(),
        user: z.string(),
        by: z.string().meta({ description: 'what let the key in, or whose key it was' }),
        hostKey: z.object({ trust: z.enum(['published', 'known', 'first-use']), fingerprint: z.string() }),
      })
      .meta({ description: 'a machine on the way was logged in to' }),
    z
      .object({
        event: z.literal('file'),
        ...at,
        from: z.string(),
        to: z.string(),
        outcome: z
          .enum(['copied', 'there', 'failed'])
          .meta({ description: 'there: it was already, and was left as it is' }),
        bytes: count.meta({ description: 'of the file' }),
        movedBytes: count.meta({ description: 'of these, how many were sent this time' }),
        durationMs: z.number().min(0),
        sha256: z.string().optional().meta({ description: 'with --checksum: of both sides' }),
        remarks: z.array(z.string()),
        error: errorSchema.optional(),
      })
      .meta({ description: 'of cp: a file was dealt with' }),
    z.object({ event: z.literal('warning'), ...at, message: z.string() }),
    z
      .object({ event: z.literal('hint'), ...at, message: z.string() })
      .meta({ description: 'nothing is wrong; something better could be had' }),
    z.object({
      event: z.literal('closed'),
      ...at,
      reason: z.enum(closeReasons),
      durationMs: z.number().min(0),
      connections: count,
      bytesUp: count,
      bytesDown: count,
      error: errorSchema.optional(),
      destinations: z
        .array(destinationSchema)
        .optional()
        .meta({ description: 'of socks: what went where, the one with most bytes first' }),
      refused: count.optional().meta({ description: 'of expose: callers that were refused' }),
      files: z
        .object({ copied: count, there: count, failed: count })
        .optional()
        .meta({ description: 'of cp: how many, folders aside' }),
    }),
    z
      .object({ event: z.literal('error'), ...at, error: errorSchema })
      .meta({ description: 'the command failed before anything was ready' }),
  ])
  .meta({
    title: 'cloudtun events',
    description:
      'one JSON object a line on stdout of `cloudtun rds --json`, `cloudtun sql --json`, `cloudtun forward --json` and `cloudtun socks --json`',
  });

export type ErrorJson = z.infer<typeof errorSchema>;
export type EventJson = z.infer<typeof eventSchema>;

/** JSON Schema of one line, as published. */
export function eventJsonSchema(): object {
  return z.toJSONSchema(eventSchema, { target: 'draft-2020-12' });
}

import { z } from 'zod';
import type { Request } from './protocol.ts';

/*
 * What a supervisor takes from its socket. Whoever can write to it is the same user, and may be another version of cloudtun: unknown
 * fields of flags are refused, so that nothing that was asked for is left out in silence.
 */

const text = z.string().max(4_096);

const flagsSchema = z.strictObject({
  port: text.optional(),
  via: z.array(text).max(32).optional(),
  reader: z.boolean().optional(),
  reason: text.optional(),
  document: text.optional(),
  ttl: text.optional(),
  idle: text.optional(),
  grace: text.optional(),
  bind: z.array(text).max(32).optional(),
  profile: text.optional(),
  region: text.optional(),
  project: text.optional(),
  zone: text.optional(),
  sessions: text.optional(),
  'max-bytes': text.optional(),
  'keep-active': z.boolean().optional(),
  noProbe: z.boolean().optional(),
  onDemand: z.boolean().optional(),
});

const names = z.array(text).max(10_000);

const requestSchema = z.discriminatedUnion('do', [
  z.strictObject({
    do: z.literal('up'),
    wishes: z.array(z.strictObject({ name: text, flags: flagsSchema })).max(10_000),
    origin: z.strictObject({ cwd: text, env: z.record(text, z.string().max(65_536)) }),
    isUnawaited: z.boolean().optional(),
  }),
  z.strictObject({ do: z.literal('down'), names, cut: z.boolean().optional() }),
  z.strictObject({ do: z.literal('list') }),
  z.strictObject({ do: z.literal('watch'), names }),
]);

/** @throws ZodError */
export function parseRequest(value: unknown): Request {
  return requestSchema.parse(value) as Request;
}

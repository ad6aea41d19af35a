import { z } from 'zod';
import { parseDuration } from '../domain/duration.ts';

/*
 * The shape of cloudtun.yaml (spec section 4). `targets` and `defaults` are used; the other top-level sections are the ones that
 * the specification names, accepted as they are so that a team's full file is no error here.
 */

const portSchema = z.int().min(1).max(65_535);

const durationSchema = z.string({ error: 'a duration with its unit, such as 30s, 15m or 8h' }).refine(isDuration, {
  error: 'a duration with its unit, such as 30s, 15m or 8h',
});

function isDuration(text: string): boolean {
  try {
    parseDuration(text, 'duration');
    return true;
  } catch {
    return false;
  }
}

const bindSchema = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)], {
  error: 'an address, or a list of addresses',
});

const defaultsSchema = z.strictObject({
  ttl: durationSchema.optional(),
  idle: durationSchema.optional(),
  grace: durationSchema.optional(),
  bind: bindSchema.optional(),
  profile: z.string().min(1).optional(),
  region: z.string().min(1).optional(),
});

const awsSchema = z.strictObject({
  instance: z.string().min(1),
  profile: z.string().min(1).optional(),
  region: z.string().min(1).optional(),
});

const gcpSchema = z.strictObject({
  instance: z.string().min(1),
  project: z.string().min(1).optional(),
  zone: z.string().min(1).optional(),
});

/** One object for all forms, so that an unknown key has one list of neighbours; `describeForm` tells the forms apart. */
const targetSchema = z.strictObject({
  aws: awsSchema.optional(),
  gcp: gcpSchema.optional(),
  rds: z.string().min(1).optional(),
  host: z.string().min(1).optional(),
  hostPort: portSchema.optional(),
  via: z.string().min(1).optional(),
  port: portSchema.optional(),
  user: z.string().min(1).optional(),
  iamAuth: z.boolean().optional(),
  profile: z.string().min(1).optional(),
  region: z.string().min(1).optional(),
});

export type TargetEntry = z.infer<typeof targetSchema>;
export type CatalogueDefaults = z.infer<typeof defaultsSchema>;

/** Sections of the specification that this version reads past. */
export const UNUSED_SECTIONS = ['groups', 'logs', 'teams', 'policy', 'audit'] as const;

export const catalogueSchema = z.strictObject({
  version: z.literal(1, { error: '1, the only version there is' }),
  defaults: defaultsSchema.optional(),
  targets: z.record(z.string().min(1), targetSchema).optional(),
  ...Object.fromEntries(UNUSED_SECTIONS.map((section) => [section, z.unknown().optional()])),
});

/** The keys that may stand at a place of the file: for "did you mean". Numbers and names of targets are passed over. */
export function keysAllowedAt(path: readonly PropertyKey[]): readonly string[] {
  if (path.length === 0) return Object.keys(catalogueSchema.shape);
  if (path[0] === 'defaults') return Object.keys(defaultsSchema.shape);
  if (path[0] !== 'targets') return [];
  if (path.length === 2) return Object.keys(targetSchema.shape);
  if (path[2] === 'aws') return Object.keys(awsSchema.shape);
  return path[2] === 'gcp' ? Object.keys(gcpSchema.shape) : [];
}

export type CatalogueFile = z.infer<typeof catalogueSchema> & {
  defaults?: CatalogueDefaults;
  targets?: Record<string, TargetEntry>;
};

/** What is wrong with the combination of keys of a target, or undefined when it is one of the forms of spec section 4. */
export function describeFormProblem(entry: TargetEntry): string | undefined {
  const forms = (['aws', 'gcp', 'rds', 'host'] as const).filter((form) => entry[form] !== undefined);
  if (forms.length === 0) return 'needs one of aws, gcp, rds or host';
  if (forms.length > 1) return `has ${forms.join(' and ')}; a target is one of them`;
  if (entry.host !== undefined && entry.hostPort === undefined) return 'has a host but no hostPort';
  if (entry.host !== undefined && entry.via === undefined)
    return 'has a host but no via: name the machine that can reach it';
  if (entry.host === undefined && entry.hostPort !== undefined) return 'has a hostPort but no host';
  if (entry.aws !== undefined && entry.via !== undefined) return 'is a machine of its own and needs no via';
  return undefined;
}

import { z } from 'zod';
import { parseDuration } from '../domain/duration.ts';
import { PLACE_KEYS, type PlaceKey, PROVIDER_IDS, type ProviderId } from '../domain/target.ts';
import { DATABASE_FORMS } from './catalogue.ts';

/*
 * The shape of cloudtun.yaml (spec section 4). `targets` and `defaults` are used; the other top-level sections are the ones that
 * the specification names, accepted as they are so that a team's full file is no error here.
 */

const nameSchema = z.string().min(1);

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

const viaSchema = z.union([nameSchema, z.array(nameSchema).min(1)], {
  error: 'a machine to go through, or a list of them from here outwards',
});

const defaultsSchema = z.strictObject({
  ttl: durationSchema.optional(),
  idle: durationSchema.optional(),
  grace: durationSchema.optional(),
  bind: bindSchema.optional(),
  profile: nameSchema.optional(),
  region: nameSchema.optional(),
  project: nameSchema.optional(),
  zone: nameSchema.optional(),
});

/** A machine, with what may be said of its place in that cloud. */
const machineSchema = (cloud: ProviderId) => {
  const keys = PLACE_KEYS[cloud].map((key) => [key, nameSchema.optional()] as const);
  return z.strictObject({
    instance: nameSchema,
    // A key that this cloud lacks is absent, which reads like one that nobody wrote.
    ...(Object.fromEntries(keys) as Record<PlaceKey, z.ZodOptional<typeof nameSchema>>),
  });
};

/** `aws: { instance: … }`, and so for every cloud. */
const MACHINES = Object.fromEntries(PROVIDER_IDS.map((cloud) => [cloud, machineSchema(cloud).optional()])) as Record<
  ProviderId,
  z.ZodOptional<ReturnType<typeof machineSchema>>
>;

/** One object for all forms, so that an unknown key has one list of neighbours; `describeFormProblem` tells the forms apart. */
const targetSchema = z.strictObject({
  ...MACHINES,
  rds: nameSchema.optional(),
  sql: nameSchema.optional(),
  host: nameSchema.optional(),
  hostPort: portSchema.optional(),
  via: viaSchema.optional(),
  port: portSchema.optional(),
  user: nameSchema.optional(),
  iamAuth: z.boolean().optional(),
  profile: nameSchema.optional(),
  region: nameSchema.optional(),
  project: nameSchema.optional(),
  zone: nameSchema.optional(),
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
  const machine = MACHINES[path[2] as ProviderId] as (typeof MACHINES)[ProviderId] | undefined;
  return machine === undefined ? [] : Object.keys(machine.unwrap().shape);
}

export type CatalogueFile = z.infer<typeof catalogueSchema> & {
  defaults?: CatalogueDefaults;
  targets?: Record<string, TargetEntry>;
};

const FORMS = [...PROVIDER_IDS, ...(Object.keys(DATABASE_FORMS) as (keyof typeof DATABASE_FORMS)[]), 'host'] as const;

/** What is wrong with the combination of keys of a target, or undefined when it is one of the forms of spec section 4. */
export function describeFormProblem(entry: TargetEntry): string | undefined {
  const forms = FORMS.filter((form) => entry[form] !== undefined);
  const [form] = forms;
  if (form === undefined) return `needs one of ${FORMS.slice(0, -1).join(', ')} or ${FORMS.at(-1)}`;
  if (forms.length > 1) return `has ${forms.join(' and ')}; a target is one of them`;
  if (entry.host !== undefined && entry.hostPort === undefined) return 'has a host but no hostPort';
  if (entry.host !== undefined && entry.via === undefined)
    return 'has a host but no via: name the machine that can reach it';
  if (entry.host === undefined && entry.hostPort !== undefined) return 'has a hostPort but no host';
  return form === 'host' ? undefined : describePlaceProblem(entry, form);
}

/** A key that the cloud of this form does not have would be read past in silence. */
function describePlaceProblem(entry: TargetEntry, form: Exclude<(typeof FORMS)[number], 'host'>): string | undefined {
  const allowed: readonly PlaceKey[] = isProvider(form) ? PLACE_KEYS[form] : DATABASE_PLACE_KEYS[form];
  const foreign = (['profile', 'region', 'project', 'zone'] as const).find(
    (key) => entry[key] !== undefined && !allowed.includes(key),
  );
  if (foreign !== undefined) return `has a ${foreign}, which ${form} does not know`;
  if (form === 'sql' && entry.region !== undefined && entry.project === undefined)
    return 'has a region but no project: name both, or neither';
  return undefined;
}

const isProvider = (form: string): form is ProviderId => PROVIDER_IDS.some((id) => id === form);

/** Cloud SQL names instances by project and region. */
const DATABASE_PLACE_KEYS = {
  rds: PLACE_KEYS.aws,
  sql: ['project', 'region'],
} as const satisfies Record<keyof typeof DATABASE_FORMS, readonly PlaceKey[]>;

import { z } from 'zod';
import { parseByteCount } from '../domain/byte-count.ts';
import { parseDuration } from '../domain/duration.ts';
import { PLACE_KEYS, type PlaceKey, PROVIDER_IDS, type ProviderId } from '../domain/target.ts';
import { DATABASE_FORMS } from './catalogue.ts';
import { intervalsSchema } from './intervals-schema.ts';

/*
 * The shape of cloudtun.yaml (spec section 4). What the names in it refer to is checked after the files are merged
 * (config/references.ts).
 */

const nameSchema = z.string().min(1);

const portSchema = z.int().min(1).max(65_535);

/** A text that `parse` takes. */
const parsed = (parse: (text: string) => unknown, error: string) =>
  z.string({ error }).refine(
    (text) => {
      try {
        parse(text);
        return true;
      } catch {
        return false;
      }
    },
    { error },
  );

const durationSchema = parsed(
  (text) => parseDuration(text, 'duration'),
  'a duration with its unit, such as 30s, 15m or 8h',
).meta({ examples: ['30s', '15m', '8h'] });

const byteCountSchema = parsed(
  (text) => parseByteCount(text, 'size'),
  'a size with its unit, such as 500MB or 2GB',
).meta({
  examples: ['500MB', '2GB'],
});

const sessionsSchema = z.union([z.int().min(1).max(8), z.literal('auto')], { error: 'a number from 1 to 8, or auto' });

const bindSchema = z.union([z.string().min(1), z.array(z.string().min(1)).min(1)], {
  error: 'an address, or a list of addresses',
});

const viaSchema = z.union([nameSchema, z.array(nameSchema).min(1)], {
  error: 'a machine to go through, or a list of them from here outwards',
});

const PLACE_ABOUT: Readonly<Record<PlaceKey, string>> = {
  profile: 'the profile of the AWS configuration',
  region: 'the region of AWS, or of a Cloud SQL instance',
  project: 'the project of Google Cloud',
  zone: 'the zone of Google Cloud',
};

const placeSchema = (key: PlaceKey) => nameSchema.optional().meta({ description: PLACE_ABOUT[key] });

const placeSchemas = {
  profile: placeSchema('profile'),
  region: placeSchema('region'),
  project: placeSchema('project'),
  zone: placeSchema('zone'),
};

const defaultsSchema = z.strictObject({
  ttl: durationSchema.optional().meta({ description: 'closed after this time, or none' }),
  idle: durationSchema.optional().meta({ description: 'closed after this time without a connection, or none' }),
  grace: durationSchema.optional().meta({ description: 'how long open connections may take to end' }),
  bind: bindSchema.optional().meta({ description: 'local address or addresses; 127.0.0.1 and ::1 when absent' }),
  maxBytes: byteCountSchema.optional().meta({ description: 'closed after so many bytes, both directions together' }),
  sessions: sessionsSchema
    .optional()
    .meta({ description: 'over how many Session Manager sessions connections are spread' }),
  ...placeSchemas,
  intervals: intervalsSchema.optional(),
});

/** A machine, with what may be said of its place in that cloud. */
const machineSchema = (cloud: ProviderId) => {
  const keys = PLACE_KEYS[cloud].map((key) => [key, placeSchema(key)] as const);
  return z.strictObject({
    instance: nameSchema.meta({ description: 'as TARGET: a name, an id, an address, tag:Key=Value' }),
    // A key that this cloud lacks is absent, which reads like one that nobody wrote.
    ...(Object.fromEntries(keys) as Record<PlaceKey, z.ZodOptional<typeof nameSchema>>),
  });
};

/** `aws: { instance: … }`, and so for every cloud. */
const MACHINES = Object.fromEntries(
  PROVIDER_IDS.map((cloud) => [
    cloud,
    machineSchema(cloud)
      .optional()
      .meta({ description: `a machine in ${cloud}` }),
  ]),
) as Record<ProviderId, z.ZodOptional<ReturnType<typeof machineSchema>>>;

/** Where a password is kept. */
const secretSchema = z.strictObject({
  secretsManager: nameSchema.optional().meta({ description: 'of AWS: name or ARN' }),
  secretManager: z
    .string()
    .regex(/^projects\/[^/]+\/secrets\/[^/]+(\/versions\/[^/]+)?$/, {
      error: 'a whole name, such as projects/acme/secrets/orders-password',
    })
    .optional()
    .meta({ description: 'of Google Cloud: projects/P/secrets/S, with /versions/V where it is not the latest' }),
});

/** How a client checks the server, in the words of PostgreSQL. */
export const TLS_MODES = ['verify-full', 'verify-ca', 'require', 'off'] as const;

/** One object for all forms, so that an unknown key has one list of neighbours; `describeFormProblem` tells the forms apart. */
const targetSchema = z.strictObject({
  ...MACHINES,
  rds: nameSchema.optional().meta({ description: 'an RDS instance, Aurora cluster or RDS Proxy' }),
  sql: nameSchema.optional().meta({ description: 'a Cloud SQL instance' }),
  host: nameSchema.optional().meta({ description: 'a host that the machine in via reaches' }),
  hostPort: portSchema.optional().meta({ description: 'the port of the host, or of the machine' }),
  via: viaSchema
    .optional()
    .meta({ description: 'what to go through, from here outwards: targets of this file, or machines' }),
  port: portSchema.optional().meta({ description: 'the local port; one that is the same every day when absent' }),
  user: nameSchema.optional().meta({ description: 'the login of the database or machine' }),
  iamAuth: z.boolean().optional().meta({ description: 'log in with a token of the cloud instead of a password' }),
  dbName: nameSchema.optional().meta({ description: 'the database on the server that clients open' }),
  secret: secretSchema.optional().meta({ description: 'where the password is kept' }),
  tls: z.enum(TLS_MODES).optional().meta({ description: 'how clients check the server' }),
  ttl: durationSchema.optional().meta({ description: 'closed after this time, or none' }),
  idle: durationSchema.optional().meta({ description: 'closed after this time without a connection, or none' }),
  maxBytes: byteCountSchema.optional().meta({ description: 'closed after so many bytes, both directions together' }),
  sessions: sessionsSchema
    .optional()
    .meta({ description: 'over how many Session Manager sessions connections are spread' }),
  ...placeSchemas,
});

export type TargetEntry = z.infer<typeof targetSchema>;
export type CatalogueDefaults = z.infer<typeof defaultsSchema>;

const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;

const timeOfDaySchema = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d$|^24:00$/, { error: 'a time of day, such as 08:00' });

const zoneSchema = parsed(
  (zone) => new Intl.DateTimeFormat('en', { timeZone: zone }),
  'a time zone, such as Europe/Berlin or UTC',
);

const policySchema = z.strictObject({
  requireReason: z
    .union([z.boolean(), z.array(nameSchema)], { error: 'true, or a list of targets' })
    .optional()
    .meta({ description: 'nothing is opened without --reason; true, or targets and groups' }),
  maxTtl: durationSchema.optional().meta({ description: 'the longest that a tunnel may live' }),
  loopbackOnly: z.boolean().optional().meta({ description: 'no listener but on loopback' }),
  hours: z
    .strictObject({
      days: z.array(z.enum(DAYS)).min(1).optional().meta({ description: 'every day when absent' }),
      from: timeOfDaySchema.meta({ description: 'the first minute, 08:00', examples: ['08:00'] }),
      to: timeOfDaySchema.meta({
        description: 'the end, 18:00; at or before from: on the next day',
        examples: ['18:00'],
      }),
      zone: zoneSchema.meta({ description: 'the time zone of both', examples: ['Europe/Berlin'] }),
    })
    .optional()
    .meta({ description: 'when tunnels may be open' }),
  encryptedShells: z.boolean().optional().meta({ description: 'shells of Session Manager only with KMS' }),
  allowKeepActive: z.boolean().optional().meta({ description: 'false forbids --keep-active' }),
  journal: z
    .enum(['required', 'warn'])
    .optional()
    .meta({ description: 'what happens where the record of use cannot be written' }),
});

const logSchema = z.strictObject({
  target: nameSchema.meta({ description: 'the target that has it' }),
  file: nameSchema.optional().meta({ description: 'a file; a log has one of file, unit and container' }),
  unit: nameSchema.optional().meta({ description: 'a unit of systemd' }),
  container: nameSchema.optional().meta({ description: 'a container' }),
});

const namesSchema = z.array(nameSchema, { error: 'a list of names' });

/** A day, or an instant. */
const untilSchema = parsed((text) => {
  if (!/^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?(Z|[+-]\d{2}:\d{2}))?$/.test(text) || Number.isNaN(Date.parse(text)))
    throw new Error(text);
}, 'a date, such as 2027-03-31');

const teamSchema = z.strictObject({
  aws: z
    .strictObject({
      permissionSet: nameSchema.optional().meta({ description: 'of Identity Center' }),
      role: nameSchema.optional().meta({ description: 'of IAM' }),
      user: nameSchema.optional().meta({ description: 'of IAM' }),
    })
    .optional()
    .meta({ description: 'who they are in AWS' }),
  gcp: z
    .strictObject({
      group: nameSchema.optional().meta({ description: 'the address of a group' }),
      user: nameSchema.optional().meta({ description: 'the address of one person' }),
    })
    .optional()
    .meta({ description: 'who they are in Google Cloud' }),
  members: namesSchema.optional().meta({ description: 'the people, by address' }),
  may: z
    .strictObject({
      connect: namesSchema.optional().meta({ description: 'targets and groups whose ports they open' }),
      ssh: namesSchema.optional().meta({ description: 'machines that they log in to' }),
      socks: namesSchema.optional().meta({ description: 'machines that they reach everything through' }),
      run: namesSchema.optional().meta({ description: 'machines that they run commands on' }),
      logs: namesSchema.optional().meta({ description: 'logs that they read' }),
    })
    .optional()
    .meta({ description: 'what they may' }),
  until: untilSchema.optional().meta({
    description: 'the last day, to its end in UTC, or the instant at which it ends',
    examples: ['2027-03-31'],
  }),
});

const sinkSchema = z.strictObject({
  cloudwatch: z
    .strictObject({
      group: nameSchema.meta({ description: 'the log group' }),
      region: placeSchema('region'),
      profile: placeSchema('profile'),
    })
    .optional()
    .meta({ description: 'CloudWatch Logs' }),
  cloudLogging: z
    .strictObject({ log: nameSchema.meta({ description: 'the name of the log' }), project: placeSchema('project') })
    .optional()
    .meta({ description: 'Cloud Logging' }),
});

const auditKeySchema = z.strictObject({
  kms: z
    .strictObject({
      key: nameSchema.meta({
        description: 'a key of kind ECC_NIST_P256: its id, ARN or alias',
        examples: ['alias/cloudtun-audit'],
      }),
      region: placeSchema('region'),
      profile: placeSchema('profile'),
    })
    .meta({ description: 'AWS KMS' }),
});

const auditSchema = z.strictObject({
  journal: nameSchema
    .optional()
    .meta({ description: 'default, which is in the state directory; a directory, with / at its end; or one file' }),
  keep: durationSchema.optional().meta({ description: 'how long records are kept, or none: for ever' }),
  key: auditKeySchema.optional().meta({
    description: 'what signs its checkpoints, instead of a key in a file that its owner could read',
  }),
  sinks: z.array(sinkSchema).optional().meta({ description: 'where it is sent to as well' }),
});

export type PolicyEntry = z.infer<typeof policySchema>;
export type LogEntry = z.infer<typeof logSchema>;
export type TeamEntry = z.infer<typeof teamSchema>;
export type AuditEntry = z.infer<typeof auditSchema>;

export const catalogueSchema = z.strictObject({
  version: z.literal(1, { error: '1, the only version there is' }).meta({ description: 'of this format' }),
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,31}$/, { error: 'small letters, digits and dashes, at most 32' })
    .optional()
    .meta({
      description: 'whose permissions these are, where several files give some in one account; default',
      examples: ['shop'],
    }),
  contact: nameSchema
    .optional()
    .meta({ description: 'whom to ask for access, for people', examples: ['platform@example.com'] }),
  defaults: defaultsSchema.optional().meta({ description: 'for every tunnel' }),
  targets: z.record(nameSchema, targetSchema).optional().meta({ description: 'what can be opened, by name' }),
  groups: z.record(nameSchema, namesSchema.min(1)).optional().meta({ description: 'names of targets under one name' }),
  logs: z.record(nameSchema, logSchema).optional().meta({ description: 'the only logs that may be read' }),
  teams: z.record(nameSchema, teamSchema).optional().meta({ description: 'who may reach what' }),
  policy: policySchema.optional().meta({ description: 'what is refused whatever a flag says' }),
  audit: auditSchema.optional().meta({ description: 'where the record of use goes' }),
});

export type CatalogueFile = z.infer<typeof catalogueSchema>;

/** The keys that may stand at a place of the file: for "did you mean". None where names are the user's own. */
export function keysAllowedAt(path: readonly PropertyKey[]): readonly string[] {
  let schema: z.core.$ZodType = catalogueSchema;
  for (const step of path) {
    const inner = insideOf(schema);
    const next = inner instanceof z.ZodObject ? inner.shape[String(step)] : itemOf(inner);
    if (next === undefined) return [];
    schema = next;
  }
  const found = insideOf(schema);
  return found instanceof z.ZodObject ? Object.keys(found.shape) : [];
}

function insideOf(schema: z.core.$ZodType): z.core.$ZodType {
  return schema instanceof z.ZodOptional ? insideOf(schema.unwrap()) : schema;
}

function itemOf(schema: z.core.$ZodType): z.core.$ZodType | undefined {
  if (schema instanceof z.ZodRecord) return schema.valueType;
  return schema instanceof z.ZodArray ? schema.element : undefined;
}

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
  if (entry.hostPort !== undefined && (form === 'rds' || form === 'sql'))
    return 'has a hostPort, and a database has a port of its own';
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

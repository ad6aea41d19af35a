import { z } from 'zod';
import type { IamGate } from './aws/iam/iam-gate.ts';
import type { Trail } from './aws/trail.ts';
import type { AuditLog } from './gcp/audit-log.ts';
import type { GcpIam } from './gcp/iam/gcp-iam.ts';

const names = z.record(z.string().min(1), z.array(z.string().min(1)));

const SCHEMA = z.strictObject({
  aws: z
    .strictObject({
      enforce: z.boolean().optional(),
      documentCheck: z.enum(['always', 'when-asked']).optional(),
      sessionIds: z.enum(['name', 'userid']).optional(),
      /** Group → users. */
      groups: names.optional(),
    })
    .optional(),
  gcp: z
    .strictObject({
      enforce: z.boolean().optional(),
      /** Group → people and groups. */
      groups: names.optional(),
      /** Person → access levels. */
      accessLevels: names.optional(),
    })
    .optional(),
  records: z.strictObject({ delayMs: z.int().min(0).optional(), duplicateEvery: z.int().min(0).optional() }).optional(),
});

interface Parts {
  readonly iam: IamGate;
  readonly trail: Trail;
  readonly gcp: { readonly iam: GcpIam; readonly audit: AuditLog };
}

/**
 * Sets who decides in the lab, as `POST /_lab/iam` gets it. What is not given stays as it is.
 *
 * @throws RangeError with a sentence that says where it is wrong; nothing is changed then
 */
export function setIam({ iam, trail, gcp }: Parts, value: unknown): void {
  const read = SCHEMA.safeParse(value);
  if (!read.success) throw new RangeError(z.prettifyError(read.error));
  const { aws = {}, gcp: google = {}, records = {} } = read.data;
  const { groups: awsGroups, ...settings } = aws;
  iam.set(present(settings));
  if (awsGroups !== undefined) {
    for (const entity of iam.directory.entities()) if (entity.kind === 'user') entity.groups.clear();
    for (const [group, users] of Object.entries(awsGroups)) {
      for (const user of users) iam.directory.entity('user', user).groups.add(group);
    }
  }
  if (google.enforce !== undefined) gcp.iam.enforce = google.enforce;
  for (const [group, members] of Object.entries(google.groups ?? {})) gcp.iam.setGroup(group, members);
  for (const [email, levels] of Object.entries(google.accessLevels ?? {})) gcp.iam.setAccessLevels(email, levels);
  trail.events.set(present(records));
  gcp.audit.events.set(present(records));
}

/** Without the members that are undefined, which would count as given. */
function present<Value extends object>(value: Value): { [Key in keyof Value]?: Exclude<Value[Key], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as {
    [Key in keyof Value]?: Exclude<Value[Key], undefined>;
  };
}

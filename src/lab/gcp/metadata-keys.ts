import type { Millis } from '../../domain/millis.ts';
import { parseIsoTime } from '../../runtime/iso-time.ts';
import { parsePublicKey } from '../ssh/core/public-key.ts';
import type { GcpInstance, GcpProject } from './inventory.ts';

type Metadata = Readonly<Record<string, string>>;

/** Whether a metadata item is on: the instance's value wins over the project's, in any letter case. */
export function isOn(instance: GcpInstance, project: GcpProject | undefined, item: string): boolean {
  return /^true$/i.test(instance.metadata[item] ?? project?.metadata?.[item] ?? '');
}

/** Whether the machine's guest software would let somebody in by a key of the metadata (docs/protocol/iap.md). */
export function metadataAdmits(
  instance: GcpInstance,
  project: GcpProject | undefined,
  userName: string,
  blob: Buffer,
  now: Millis,
): boolean {
  const own: Metadata = instance.metadata;
  const common: Metadata = project?.metadata ?? {};
  const values =
    own.sshKeys !== undefined
      ? [own.sshKeys, own['ssh-keys']]
      : isOn(instance, undefined, 'block-project-ssh-keys')
        ? [own['ssh-keys']]
        : [own['ssh-keys'], common['ssh-keys'], common.sshKeys];
  return values
    .flatMap((value) => (value ?? '').split('\n'))
    .some((line) => {
      const [, user, key = ''] = /^([^:\s]+):(.*)$/.exec(line.trim()) ?? [];
      const parsed = user === userName ? parsePublicKey(key) : undefined;
      return parsed?.blob.equals(blob) === true && !isExpired(parsed.comment, now);
    });
}

/** An end that cannot be read is none. @param comment `google-ssh {"userName":…,"expireOn":…}` */
function isExpired(comment: string, now: Millis): boolean {
  const [, json] = /^google-ssh\s+(\{.*\})\s*$/.exec(comment) ?? [];
  if (json === undefined) return false;
  try {
    const { expireOn } = JSON.parse(json) as { readonly expireOn?: unknown };
    // ISO 8601 wants a colon in the offset, which this format has not.
    const text = typeof expireOn === 'string' ? expireOn.trim().replace(/([+-]\d\d)(\d\d)$/, '$1:$2') : '';
    const end = parseIsoTime(text);
    return end !== undefined && end <= now;
  } catch {
    return false;
  }
}

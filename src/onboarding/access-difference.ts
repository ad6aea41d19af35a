import type { Millis } from '../domain/millis.ts';
import { type Access, endOfAccess } from './access.ts';

/** What somebody may do, as the same question is asked of another catalogue. */
export interface AccessChange {
  readonly kind: 'gained' | 'lost' | 'changed';
  readonly person: string;
  readonly cloud: string;
  /** Of the attempt: `connect prod`. */
  readonly id: string;
  readonly text: string;
  /** What is other than before: where it leads, as whom, until when; empty unless `changed`. */
  readonly details: readonly {
    readonly what: 'leads to' | 'as' | 'until';
    readonly before: string;
    readonly after: string;
  }[];
  readonly until?: Millis;
}

/**
 * What people gain and lose from one catalogue to another, and what stays with them and is not the same any more: another end, another
 * principal, another place under the same name. Pure.
 *
 * @param wordFor says an end for people; undefined: never
 */
export function accessDifference(
  before: readonly Access[],
  after: readonly Access[],
  wordFor: (end: Millis | undefined) => string,
): readonly AccessChange[] {
  const was = heldBy(before);
  const is = heldBy(after);
  const keys = [...new Set([...is.keys(), ...was.keys()])];
  return keys.flatMap((key): readonly AccessChange[] => {
    const [old, now] = [was.get(key), is.get(key)];
    const access = now ?? old!;
    const end = endOfAccess(access);
    const about = {
      person: access.person.name,
      cloud: access.cloud,
      id: access.attempt.id,
      text: access.attempt.text,
      ...(end !== undefined && { until: end }),
    };
    if (old === undefined) return [{ ...about, kind: 'gained', details: [] }];
    if (now === undefined) return [{ ...about, kind: 'lost', details: [] }];
    const details = (
      [
        ['leads to', old.attempt.text, now.attempt.text],
        ['as', asWhom(old), asWhom(now)],
        ['until', wordFor(endOfAccess(old)), wordFor(end)],
      ] as const
    ).flatMap(([what, one, two]) => (one === two ? [] : [{ what, before: one, after: two }]));
    return details.length === 0 ? [] : [{ ...about, kind: 'changed', details }];
  });
}

function heldBy(all: readonly Access[]): ReadonlyMap<string, Access> {
  const allowed = all.filter(({ decision }) => decision === 'allowed');
  return new Map(
    allowed.map((access) => [
      JSON.stringify([access.person.name.toLowerCase(), access.cloud, access.place, access.attempt.id]),
      access,
    ]),
  );
}

function asWhom({ ways }: Access): string {
  const open = ways.filter(({ judgement }) => judgement.decision === 'allowed');
  return open
    .map(({ principal: { kind, name } }) => `${kind} ${name}`)
    .sort()
    .join(', ');
}

import { createHash } from 'node:crypto';
import { CloudtunError } from '../domain/errors.ts';
import type {
  CurrentResource,
  JsonValue,
  PolicyChange,
  PolicyDraft,
  PolicyResource,
} from '../providers/policy-author.ts';

/*
 * From what should be there and what is there to what has to be done, in the order in which it may be done. Pure.
 *
 * Nothing is taken away before everything that replaces it stands, and nothing is made before what it leans on: an interruption
 * between any two steps leaves people with what they had, or with what they are to have, and the next run does the rest.
 */

/** Something that has the name of ours and was made by somebody else. */
export interface PolicyConflict {
  readonly wanted: PolicyResource;
  readonly current: CurrentResource;
}

export interface PolicyComparison {
  readonly changes: readonly PolicyChange[];
  readonly unchanged: readonly PolicyResource[];
  /** Never written over; nothing is applied while there is one. */
  readonly conflicts: readonly PolicyConflict[];
}

export function changesBetween(draft: PolicyDraft, current: readonly CurrentResource[]): PolicyComparison {
  const there = new Map(current.map((each) => [each.id, each]));
  const wanted = new Set(draft.resources.map(({ id }) => id));
  const changes: PolicyChange[] = [];
  const unchanged: PolicyResource[] = [];
  const conflicts: PolicyConflict[] = [];
  for (const resource of inOrder(draft.resources)) {
    const found = there.get(resource.id);
    if (found === undefined) changes.push({ op: 'add', wanted: resource });
    else if (!found.isOurs) conflicts.push({ wanted: resource, current: found });
    else if (canonical(found.content) === canonical(resource.content)) unchanged.push(resource);
    else changes.push({ op: 'change', wanted: resource, current: found });
  }
  const gone = [...inOrder(current.filter((each) => each.isOurs && !wanted.has(each.id)))].reverse();
  return {
    changes: [...changes, ...gone.map((each) => ({ op: 'remove' as const, current: each }))],
    unchanged,
    conflicts,
  };
}

/** Each behind everything that it names in `after`; otherwise as they were. @throws CT_INTERNAL for a circle, which is a defect of a draft */
function inOrder<Each extends { readonly id: string; readonly after: readonly string[] }>(
  all: readonly Each[],
): readonly Each[] {
  const byId = new Map(all.map((each) => [each.id, each]));
  const placed = new Set<string>();
  const order: Each[] = [];
  const place = (each: Each, within: readonly string[]) => {
    if (placed.has(each.id)) return;
    if (within.includes(each.id))
      throw new CloudtunError('CT_INTERNAL', `permissions lean on each other: ${[...within, each.id].join(' > ')}`);
    for (const id of each.after) {
      const before = byId.get(id);
      if (before !== undefined) place(before, [...within, each.id]);
    }
    placed.add(each.id);
    order.push(each);
  };
  for (const each of all) place(each, []);
  return order;
}

/** JSON with the members of objects in order: the same value has one text. */
export function canonical(value: JsonValue): string {
  return JSON.stringify(value, (_key, each: JsonValue) =>
    typeof each === 'object' && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([one], [two]) => (one < two ? -1 : 1)))
      : each,
  );
}

/** What a set of changes would do and what it was worked out from: another one when anything of both is another. 16 hex digits. */
export function fingerprint(comparisons: readonly (PolicyComparison & { readonly scope: string })[]): string {
  const text = comparisons.map(({ scope, changes, conflicts }) => [
    scope,
    changes.map((change) => [
      change.op,
      'wanted' in change ? [change.wanted.id, canonical(change.wanted.content)] : [],
      'current' in change ? [change.current.id, change.current.version, canonical(change.current.content)] : [],
    ]),
    conflicts.map(({ current }) => [current.id, current.version]),
  ]);
  return createHash('sha256').update(JSON.stringify(text)).digest('hex').slice(0, 16);
}

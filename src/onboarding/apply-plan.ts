import { CloudtunError } from '../domain/errors.ts';
import type { PolicyChange } from '../providers/policy-author.ts';
import type { PlanPart, TeamPlan } from './team-plan.ts';

/** A step that was made. */
export interface AppliedChange {
  readonly part: PlanPart;
  readonly change: PolicyChange;
}

/** How far an application of a plan came. */
export interface ApplyReport {
  readonly done: readonly AppliedChange[];
  /** In order; the first one is the one that failed, where one did. */
  readonly left: readonly AppliedChange[];
  /** What ended it early: a CloudtunError, or the reason why it was called off. */
  readonly failure?: unknown;
}

/**
 * Makes the changes of a plan, one after the other, as they were shown. What fails ends it: the rest may lean on it. Safe to call
 * again with a new plan after an interruption at any point.
 *
 * @param onStep before each change
 * @param onDone after each; what it throws ends the application, with this change counted as left
 * @throws CT_POLICY_CONFLICT where something of another hand has one of our names: nothing is done then
 */
export async function applyPlan(
  plan: TeamPlan,
  onStep: (step: AppliedChange, index: number, count: number) => void,
  signal: AbortSignal,
  onDone: (step: AppliedChange) => void = () => {},
): Promise<ApplyReport> {
  refuseConflicts(plan);
  const steps = plan.parts.flatMap((part) => part.changes.map((change) => ({ part, change })));
  for (const [index, step] of steps.entries()) {
    try {
      signal.throwIfAborted();
      onStep(step, index, steps.length);
      await step.part.author.apply(step.change, step.part.facts, signal);
      onDone(step);
    } catch (thrown) {
      return { done: steps.slice(0, index), left: steps.slice(index), failure: thrown };
    }
  }
  return { done: steps, left: [] };
}

/** @throws CT_POLICY_CONFLICT */
export function refuseConflicts({ parts }: TeamPlan): void {
  const conflicts = parts.flatMap((part) => part.conflicts.map((conflict) => ({ part, conflict })));
  const [first] = conflicts;
  if (first === undefined) return;
  const { wanted, current } = first.conflict;
  throw new CloudtunError(
    'CT_POLICY_CONFLICT',
    `${wanted.kind} ${wanted.name} in ${first.part.draft.place} was not made for this catalogue, and is left alone`,
    {
      details: conflicts.map(({ conflict }) => [conflict.current.kind, `${conflict.current.name}: ${current.summary}`]),
      hint: 'remove or rename it, or give this catalogue a name of its own (name: in cloudtun.yaml)',
    },
  );
}

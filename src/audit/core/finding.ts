/*
 * What was found to be wrong with a journal. Each kind is one thing that can be done to it; which file and line it was done to is as
 * exact as what is left of the evidence.
 */

export type FindingKind =
  | 'changed'
  | 'dropped'
  | 'inserted'
  | 'swapped'
  | 'duplicated'
  | 'truncated'
  | 'cut'
  | 'removed'
  | 'merged'
  | 'replayed'
  | 'clock'
  | 'replaced';

export interface Finding {
  readonly kind: FindingKind;
  /** The name of the file in the directory of the journal. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

/** A clock that goes back by less is being set right (guessed: a time service steps by seconds). */
const CLOCK_TOLERANCE = 10_000;

/** Whether a time is earlier than one that came before it. Times that cannot be read say nothing. */
export function isSetBack(before: string | undefined, after: string | undefined): boolean {
  if (before === undefined || after === undefined) return false;
  return Date.parse(after) < Date.parse(before) - CLOCK_TOLERANCE;
}

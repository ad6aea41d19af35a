import type { ProposedTarget } from '../propose-targets.ts';

/** What another program's configuration says, in the words of cloudtun.yaml. */
export interface Imported {
  readonly targets: readonly ProposedTarget[];
  /** For every tunnel, where the catalogue says nothing yet. */
  readonly defaults: Readonly<Record<string, string>>;
  /** What was not taken, and why. */
  readonly leftOut: readonly { readonly name: string; readonly reason: string }[];
}

export const NOTHING_IMPORTED: Imported = { targets: [], defaults: {}, leftOut: [] };

/*
 * What a changed catalogue asks of tunnels that are held, without I/O (spec section 5: nothing is restarted that nobody asked to). A
 * tunnel whose plan is the same goes on untouched, with its connections.
 */

export interface StateChange {
  readonly open: readonly string[];
  readonly close: readonly string[];
  /** Held with another plan: closed, then opened again. */
  readonly replace: readonly string[];
}

/**
 * @param held names and the signatures of their plans
 * @param wished the same, as the catalogue says now
 */
export function changesBetween(held: ReadonlyMap<string, string>, wished: ReadonlyMap<string, string>): StateChange {
  return {
    open: [...wished.keys()].filter((name) => !held.has(name)),
    close: [...held.keys()].filter((name) => !wished.has(name)),
    replace: [...wished].filter(([name, plan]) => held.has(name) && held.get(name) !== plan).map(([name]) => name),
  };
}

/** Optimal string alignment distance: insertions, deletions, replacements and swaps of neighbours cost one each. */
export function editDistance(left: string, right: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= right.length; column += 1) {
      const same = left[row - 1] === right[column - 1];
      let best = Math.min(previous[column]! + 1, current[column - 1]! + 1, previous[column - 1]! + (same ? 0 : 1));
      const swapped =
        row > 1 && column > 1 && left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      if (swapped) best = Math.min(best, before[column - 2]! + 1);
      current.push(best);
    }
    before = previous;
    previous = current;
  }
  return previous[right.length]!;
}

/** How many suggestions a person still reads. */
const SHOWN = 3;
/** Names longer than this are compared by their start only: 64 is above what AWS allows for most names. */
const COMPARED = 64;

/** The names a person may have meant, nearest first: few typing mistakes away, or containing (or contained in) what was typed. */
export function nearestNames(typed: string, names: Iterable<string>): string[] {
  const wanted = typed.toLowerCase().slice(0, COMPARED);
  const reach = Math.max(1, Math.floor(wanted.length / 3)) + (wanted.length > 3 ? 1 : 0);
  const scored: { name: string; score: number }[] = [];
  for (const name of new Set(names)) {
    const candidate = name.toLowerCase().slice(0, COMPARED);
    const distance = editDistance(wanted, candidate);
    const contains =
      wanted.length >= 3 && (candidate.includes(wanted) || (candidate.length >= 3 && wanted.includes(candidate)));
    if (distance <= reach) scored.push({ name, score: distance });
    else if (contains) scored.push({ name, score: reach + Math.abs(candidate.length - wanted.length) / COMPARED });
  }
  scored.sort((a, b) => a.score - b.score || (a.name < b.name ? -1 : 1));
  return scored.slice(0, SHOWN).map((entry) => entry.name);
}

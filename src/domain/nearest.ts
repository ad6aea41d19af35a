/** Longer names are compared by their start only; 64 is above what the clouds allow for most names. */
const COMPARED = 64;

/**
 * Names that a person may have meant: those within a third of the word's length of typing errors (at least two), or that contain
 * it, nearest first.
 */
export function nearestNames(word: string, known: Iterable<string>, limit = 3): readonly string[] {
  const wanted = word.toLowerCase().slice(0, COMPARED);
  const reach = Math.max(2, Math.floor(wanted.length / 3));
  return [...new Set(known)]
    .map((name) => ({ name, distance: nearness(wanted, name.toLowerCase().slice(0, COMPARED)) }))
    .filter((candidate) => candidate.distance <= reach)
    .sort((a, b) => a.distance - b.distance || a.name.localeCompare(b.name))
    .slice(0, limit)
    .map((candidate) => candidate.name);
}

function nearness(wanted: string, name: string): number {
  const distance = typingErrors(wanted, name);
  const isPart = wanted.length >= 3 && (name.includes(wanted) || wanted.includes(name));
  return isPart ? Math.min(distance, 1.5) : distance;
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
function typingErrors(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const isSame = a[row - 1] === b[column - 1];
      let cost = Math.min(previous[column]! + 1, current[column - 1]! + 1, previous[column - 1]! + (isSame ? 0 : 1));
      const isSwap = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (isSwap) cost = Math.min(cost, beforePrevious[column - 2]! + 1);
      current.push(cost);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length]!;
}

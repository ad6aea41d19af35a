/*
 * By how much two clocks differ, from times that each of them gave to the same things. Where it is known which belong together, the
 * middle of the differences; where it is not, the difference that most of them share.
 */

/** Clocks that differ by more are not guessed at (guessed: a wrong time zone is within it). */
const FARTHEST = 26 * 3_600_000;
/** Differences that lie this close together are the same one: making a connection takes a moment (guessed). */
const BUCKET = 5_000;
/** How many times before and after are tried for each one. */
const NEIGHBOURS = 8;
/** Fewer agreeing pairs are chance. */
const FEWEST = 3;

export interface ClockShift {
  /** By how much the first clock is ahead of the second, in milliseconds; negative when it is behind. */
  readonly ahead: number;
  /** How many pairs that is known from. */
  readonly pairs: number;
}

/** Undefined without differences. @param differences the first clock's time less the second's */
export function middleShift(differences: readonly number[]): ClockShift | undefined {
  const sorted = [...differences].sort((one, two) => one - two);
  const middle = sorted[sorted.length >> 1];
  return middle === undefined ? undefined : { ahead: middle, pairs: sorted.length };
}

/**
 * For times of which nobody knows which belong together.
 *
 * @param groups times of both clocks, of things that could be the same; times sorted
 */
export function likelyShift(
  groups: readonly { readonly first: readonly number[]; readonly second: readonly number[] }[],
): ClockShift | undefined {
  const differences = groups.flatMap(({ first, second }) => second.flatMap((time) => differencesTo(first, time)));
  const votes = new Map<number, number>();
  for (const each of differences) {
    const bucket = Math.round(each / BUCKET);
    votes.set(bucket, (votes.get(bucket) ?? 0) + 1);
  }
  // Neighbours count: a difference on the border of two buckets is one.
  const weight = (bucket: number) =>
    (votes.get(bucket - 1) ?? 0) + (votes.get(bucket) ?? 0) + (votes.get(bucket + 1) ?? 0);
  let best = 0;
  for (const bucket of votes.keys()) {
    const [mine, theirs] = [weight(bucket), weight(best)];
    if (mine > theirs || (mine === theirs && Math.abs(bucket) < Math.abs(best))) best = bucket;
  }
  const total = groups.reduce((sum, { second }) => sum + second.length, 0);
  // What happens every five minutes fits many shifts: another than none must be much better than none.
  const isClear = weight(best) >= FEWEST && weight(best) * 2 >= total && weight(0) * 2 <= weight(best);
  const chosen = isClear ? best : 0;
  return middleShift(differences.filter((each) => Math.abs(each - chosen * BUCKET) <= BUCKET * 1.5));
}

function differencesTo(times: readonly number[], time: number): readonly number[] {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle]! < time) low = middle + 1;
    else high = middle;
  }
  return times
    .slice(Math.max(0, low - NEIGHBOURS), low + NEIGHBOURS)
    .map((each) => each - time)
    .filter((each) => Math.abs(each) <= FARTHEST);
}

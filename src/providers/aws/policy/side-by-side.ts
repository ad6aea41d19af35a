/** How many things are asked for at the same time: a catalogue may have hundreds, and the APIs throttle. */
const WIDTH = 4;

/** The results in the order of the items. The first failure ends it; what is under way is not waited for. */
export async function sideBySide<Item, Result>(
  items: readonly Item[],
  run: (item: Item) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  let next = 0;
  let isOver = false;
  const work = async () => {
    while (next < items.length && !isOver) {
      const index = next;
      next += 1;
      results[index] = await run(items[index]!);
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(WIDTH, items.length) }, work));
  } finally {
    isOver = true;
  }
  return results;
}

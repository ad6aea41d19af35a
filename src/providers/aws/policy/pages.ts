/** Guessed: more pages than any account has. */
const MAX_PAGES = 200;

/** Follows markers to the last page. @param read one page, from the marker of the page before */
export async function allPages<Item>(
  read: (
    marker: string | undefined,
  ) => Promise<{ readonly items: readonly Item[] | undefined; readonly next: string | undefined }>,
): Promise<readonly Item[]> {
  const all: Item[] = [];
  let marker: string | undefined;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const { items, next } = await read(marker);
    all.push(...(items ?? []));
    marker = next || undefined;
    if (marker === undefined) break;
  }
  return all;
}

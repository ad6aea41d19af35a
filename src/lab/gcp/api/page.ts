import { faults } from './google-fault.ts';

export interface Page<Item> {
  readonly items: readonly Item[];
  readonly nextPageToken?: string;
}

/** One page of a list. @param query `maxResults` or `pageSize`, and `pageToken` @param limit the lab's own, smaller than asked for */
export function pageOf<Item>(items: readonly Item[], query: URLSearchParams, limit: number): Page<Item> {
  const asked = query.get('maxResults') ?? query.get('pageSize') ?? '500';
  if (!/^\d+$/.test(asked)) throw faults.invalid(`Invalid value for field 'maxResults': '${asked}'.`);
  const size = Math.min(Number(asked) || 500, 500, limit);
  const start = startOf(query.get('pageToken'));
  const end = start + size;
  return {
    items: items.slice(start, end),
    ...(end < items.length ? { nextPageToken: Buffer.from(`lab:${end}`).toString('base64url') } : {}),
  };
}

function startOf(token: string | null): number {
  if (!token) return 0;
  const [, start] = /^lab:(\d+)$/.exec(Buffer.from(token, 'base64url').toString()) ?? [];
  if (start === undefined) throw faults.invalid(`Invalid value for field 'pageToken': '${token}'.`);
  return Number(start);
}

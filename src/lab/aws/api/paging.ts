import { AwsFault } from './aws-fault.ts';
import type { JsonInput } from './json-input.ts';

export interface Page<Item> {
  readonly items: readonly Item[];
  /** Absent on the last page. */
  readonly next?: string;
}

/**
 * One page of a list. The token says where to go on and for which list it was made, as the real ones do: a token of another call, or
 * one that was tampered with, is refused.
 *
 * @param list names the list, for example `ec2:DescribeInstances`
 * @param refusal what this API throws for a token that is not its own
 */
export function takePage<Item>(
  list: string,
  items: readonly Item[],
  size: number,
  token: string | undefined,
  refusal: AwsFault,
): Page<Item> {
  const from = token === undefined || token === '' ? 0 : readToken(list, token);
  if (from === undefined || from > items.length) throw refusal;
  const page = items.slice(from, from + size);
  const end = from + page.length;
  return end < items.length ? { items: page, next: writeToken(list, end) } : { items: page };
}

const BAD_NEXT_TOKEN = new AwsFault('InvalidNextToken', 400, 'The specified token is not valid.');

/** For the JSON protocol, where the token is always `NextToken`. */
export function takeJsonPage<Item>(list: string, items: readonly Item[], size: number, input: JsonInput): Page<Item> {
  return takePage(list, items, size, input.text('NextToken'), BAD_NEXT_TOKEN);
}

const writeToken = (list: string, from: number): string => Buffer.from(`lab1:${list}:${from}`).toString('base64');

function readToken(list: string, token: string): number | undefined {
  const text = Buffer.from(token, 'base64').toString();
  const prefix = `lab1:${list}:`;
  const number = text.slice(prefix.length);
  return text.startsWith(prefix) && /^\d{1,9}$/.test(number) ? Number(number) : undefined;
}

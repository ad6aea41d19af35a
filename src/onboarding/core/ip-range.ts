/** Addresses and CIDR blocks as numbers, for the conditions of IAM and of CEL. Both families; no names. */

interface Address {
  readonly bits: 32 | 128;
  readonly value: bigint;
}

/** An address; undefined for text that is none. */
function parseAddress(text: string): Address | undefined {
  return text.includes(':') ? parseV6(text) : parseV4(text);
}

function parseV4(text: string): Address | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  const parts = match?.slice(1).map(Number);
  if (parts === undefined || parts.some((part) => part > 255)) return undefined;
  return { bits: 32, value: parts.reduce((sum, part) => sum * 256n + BigInt(part), 0n) };
}

function parseV6(text: string): Address | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')));
  const [head = [], tail = []] = groups;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const all = [...head, ...Array.from({ length: missing }, () => '0'), ...tail];
  if (!all.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return { bits: 128, value: all.reduce((sum, group) => sum * 65_536n + BigInt(`0x${group}`), 0n) };
}

/**
 * Whether an address is in a block (`10.0.0.0/8`, or one address).
 *
 * @returns undefined when either is not one
 */
export function isInRange(range: string, address: string): boolean | undefined {
  const [base = '', length, ...rest] = range.split('/');
  const from = parseAddress(base);
  const one = parseAddress(address);
  if (from === undefined || one === undefined || rest.length > 0) return undefined;
  if (length !== undefined && (!/^\d{1,3}$/.test(length) || Number(length) > from.bits)) return undefined;
  if (from.bits !== one.bits) return false;
  const shift = BigInt(from.bits - Number(length ?? from.bits));
  return from.value >> shift === one.value >> shift;
}

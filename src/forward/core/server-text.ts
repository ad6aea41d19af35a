/**
 * Words of a server we know nothing about, fit for a terminal and a log: control characters (an escape sequence among them) become
 * spaces, and what is longer than `maxLength` is cut.
 */
export function serverText(bytes: Uint8Array, maxLength: number): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, maxLength * 4))
    .toString('utf8')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, ' ')
    .trim();
  return text.length > maxLength ? `${text.slice(0, maxLength - 1)}…` : text;
}

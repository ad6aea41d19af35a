/**
 * Text from outside (Name tags, greetings, file names) without control characters, which could move the cursor of the terminal or
 * recolour what follows. Tabs and line ends become spaces: what is printed here is one line.
 */
export function printable(text: string): string {
  return text.replace(/[\t\r\n]+/g, ' ').replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, '�');
}

/** The message id of the SSM wire: a UUID whose two halves are swapped (docs/protocol/ssm.md, "MessageId"). */

/** `12345678-9abc-4def-8123-456789abcdef` from the wire's `8123456789abcdef 123456789abc4def`. */
export function messageIdFromWire(frame: Buffer, offset: number): string {
  const hex = frame.hexSlice(offset, offset + 16);
  return `${hex.slice(16, 24)}-${hex.slice(24, 28)}-${hex.slice(28, 32)}-${hex.slice(0, 4)}-${hex.slice(4, 16)}`;
}

/** Writes 16 bytes at `offset`; `uuid` is the text form. */
export function writeMessageId(frame: Buffer, offset: number, uuid: string): void {
  const hex = uuid.replaceAll('-', '');
  frame.write(hex.slice(16) + hex.slice(0, 16), offset, 16, 'hex');
}

/** Writes 16 random bytes as a version 4 UUID at `offset`, without going through text. */
export function writeRandomMessageId(frame: Buffer, offset: number, random: Uint8Array, randomOffset: number): void {
  frame.set(random.subarray(randomOffset, randomOffset + 16), offset);
  // Text byte 8 (variant) is wire byte 0, text byte 6 (version) is wire byte 14.
  frame[offset] = (frame[offset]! & 0x3f) | 0x80;
  frame[offset + 14] = (frame[offset + 14]! & 0x0f) | 0x40;
}

const HEX_DIGITS = Uint8Array.from(Buffer.from('0123456789abcdef'));
const HYPHEN = 0x2d;
/** Wire byte for each of the 16 text bytes, and before which of them a hyphen stands. */
const WIRE_INDEX = [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7];
const HYPHEN_BEFORE = [false, false, false, false, true, false, true, false, true, false, true];

/** Writes the 36 characters of the text form at `offset`, without making a string. */
export function writeMessageIdText(target: Buffer, offset: number, wireId: Buffer, wireIdOffset: number): void {
  let at = offset;
  for (let index = 0; index < 16; index++) {
    if (HYPHEN_BEFORE[index]) target[at++] = HYPHEN;
    const byte = wireId[wireIdOffset + WIRE_INDEX[index]!]!;
    target[at++] = HEX_DIGITS[byte >> 4]!;
    target[at++] = HEX_DIGITS[byte & 15]!;
  }
}

import type { SQLInputValue } from 'node:sqlite';
import { MysqlError } from './mysql-result.ts';
import { PayloadReader } from './mysql-wire.ts';

/**
 * The parameters of COM_STMT_EXECUTE (MySQL internals manual). After command, statement id (4), flags (1) and iterations (4):
 * a bitmap of NULLs, a byte that says whether types follow, two bytes of type per parameter, the values. Types may be left away when
 * they are those of the execution before.
 */
export interface BoundParameters {
  readonly values: readonly SQLInputValue[];
  readonly types: readonly number[];
}

/** @throws MysqlError 1210 when the packet does not hold what it claims */
export function readParameters(payload: Buffer, count: number, knownTypes: readonly number[]): BoundParameters {
  if (count === 0) return { values: [], types: [] };
  const reader = new PayloadReader(payload, 10);
  const nulls = reader.bytes((count + 7) >> 3);
  const types = reader.uint(1) === 1 ? Array.from({ length: count }, () => reader.uint(2)) : knownTypes;
  const values = Array.from({ length: count }, (_, index) =>
    (nulls[index >> 3] ?? 0) & (1 << (index & 7)) ? null : readValue(reader, types[index] ?? 0),
  );
  if (reader.isOverrun || types.length !== count) {
    throw new MysqlError(1210, 'HY000', 'Incorrect arguments to mysqld_stmt_execute');
  }
  return { values, types };
}

/** The high bit of a type says unsigned; nobody here needs the difference above 2^31. */
function readValue(reader: PayloadReader, type: number): SQLInputValue {
  switch (type & 0xff) {
    case 0x01:
      return signed(reader.uint(1), 8);
    case 0x02:
      return signed(reader.uint(2), 16);
    case 0x03:
      return signed(reader.uint(4), 32);
    case 0x08: {
      const bytes = reader.bytes(8);
      return bytes.length === 8 ? bytes.readBigInt64LE() : null;
    }
    case 0x04: {
      const bytes = reader.bytes(4);
      return bytes.length === 4 ? bytes.readFloatLE() : null;
    }
    case 0x05: {
      const bytes = reader.bytes(8);
      return bytes.length === 8 ? wholeNumber(bytes.readDoubleLE()) : null;
    }
    case 0x07:
    case 0x0a:
    case 0x0c:
      return readDate(reader.bytes(reader.uint(1)));
    case 0x06:
      return null;
    default:
      return reader.bytes(reader.lengthEncoded()).toString('utf8');
  }
}

const signed = (value: number, bits: 8 | 16 | 32) => (value >= 2 ** (bits - 1) ? value - 2 ** bits : value);
/** mysql2 sends every number as a double, and LIMIT wants an integer. */
const wholeNumber = (value: number): SQLInputValue => (Number.isSafeInteger(value) ? BigInt(value) : value);

function readDate(bytes: Buffer): string {
  const two = (index: number) => String(bytes[index] ?? 0).padStart(2, '0');
  const year = bytes.length < 2 ? '0000' : String(bytes.readUInt16LE(0)).padStart(4, '0');
  const date = `${year}-${two(2)}-${two(3)}`;
  return bytes.length <= 4 ? date : `${date} ${two(4)}:${two(5)}:${two(6)}`;
}

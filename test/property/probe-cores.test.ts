import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { CloudtunError } from '../../src/domain/errors.ts';
import { MysqlGoodbye } from '../../src/forward/core/mysql-goodbye.ts';
import { MysqlGreetingReader } from '../../src/forward/core/mysql-greeting.ts';
import { encodePacket, MysqlPacketReader } from '../../src/forward/core/mysql-packets.ts';
import { PostgresAnswerReader } from '../../src/forward/core/postgres-probe.ts';

/** What a core made of some bytes: its last value, or the code it threw. Anything but a CloudtunError fails the property. */
function outcome(feed: (bytes: Uint8Array) => unknown, pieces: readonly Uint8Array[]): unknown {
  try {
    for (const piece of pieces) {
      const value = feed(piece);
      if (value !== undefined) return value;
    }
    return undefined;
  } catch (error) {
    assert.ok(error instanceof CloudtunError, String(error));
    return `${error.code} ${error.message}`;
  }
}

function split(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const at = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
  return at.slice(1).map((end, index) => bytes.subarray(at[index]!, end));
}

const cuts = fc.array(fc.nat(10_000), { maxLength: 12 });
/** Random bytes hardly ever look like a packet; these do, up to their content. */
const packetLike = fc
  .tuple(fc.nat(3), fc.constantFrom(0x0a, 0xff, 0xfe, 0x01, 0x00, 0x09), fc.uint8Array({ maxLength: 200 }))
  .map(([sequence, first, rest]) => new Uint8Array(encodePacket(sequence, Buffer.from([first, ...rest]))));
const anyBytes = fc.oneof(fc.uint8Array({ maxLength: 400 }), packetLike);

describe('whatever a far side says', () => {
  test('the MySQL greeting is read the same however it is split, or refused by code', () => {
    fc.assert(
      fc.property(anyBytes, cuts, (bytes, where) => {
        const whole = new MysqlGreetingReader('x');
        const pieces = new MysqlGreetingReader('x');
        assert.deepEqual(
          outcome((piece) => pieces.receive(piece), split(bytes, where)),
          outcome((piece) => whole.receive(piece), [bytes]),
        );
      }),
      { numRuns: 2_000 },
    );
  });

  test('so is the PostgreSQL answer', () => {
    const starting = fc
      .tuple(fc.constantFrom('S', 'N', 'E', 'x', ''), fc.uint8Array({ maxLength: 200 }))
      .map(([first, rest]) => new Uint8Array(Buffer.concat([Buffer.from(first), rest])));
    fc.assert(
      fc.property(fc.oneof(starting, anyBytes), cuts, (bytes, where) => {
        const read = (pieces: readonly Uint8Array[]) => {
          const reader = new PostgresAnswerReader('x');
          const result = outcome((piece) => reader.receive(piece), pieces);
          return result ?? reader.ended()?.message;
        };
        assert.deepEqual(read(split(bytes, where)), read([bytes]));
      }),
      { numRuns: 2_000 },
    );
  });

  test('a goodbye answers the same however it is split, and never more than nine times', () => {
    const conversation = fc
      .array(packetLike, { maxLength: 20 })
      .map((packets) => new Uint8Array(Buffer.concat(packets)));
    fc.assert(
      fc.property(fc.oneof(conversation, anyBytes), cuts, (bytes, where) => {
        const talk = (pieces: readonly Uint8Array[]) => {
          const goodbye = new MysqlGoodbye({ label: '', capabilities: 0, plugin: undefined });
          const sent: Buffer[] = [];
          let done = false;
          const failure = outcome((piece) => {
            const step = goodbye.receive(piece);
            sent.push(...step.send);
            done = step.done;
            return undefined;
          }, pieces);
          assert.ok(sent.length <= 9);
          // What was answered before a malformed header depends on how much was seen at once; that it failed does not.
          return failure ?? { sent: Buffer.concat(sent).toString('hex'), done };
        };
        assert.deepEqual(talk(split(bytes, where)), talk([bytes]));
      }),
      { numRuns: 1_000 },
    );
  });

  test('packets survive any split', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }), cuts, (payloads, where) => {
        const wire = new Uint8Array(Buffer.concat(payloads.map((payload, index) => encodePacket(index, payload))));
        const reader = new MysqlPacketReader(300);
        const packets = split(wire, where).flatMap((piece) => reader.receive(piece));
        assert.deepEqual(
          packets.map(({ sequence, payload }) => [sequence, payload.toString('hex')]),
          payloads.map((payload, index) => [index, Buffer.from(payload).toString('hex')]),
        );
      }),
    );
  });
});

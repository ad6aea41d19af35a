import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { AnyReader } from '../../src/socks/core/any-request.ts';

/** What a reader made of pieces, with the request as plain data and everything behind it that it did not take. */
function outcome(pieces: readonly Buffer[]) {
  const reader = new AnyReader();
  const said: Buffer[] = [];
  for (const [index, piece] of pieces.entries()) {
    const { say, request, rest = Buffer.alloc(0) } = reader.receive(piece);
    if (say) said.push(say);
    if (!request) continue;
    const plain =
      request.kind === 'page'
        ? request
        : request.kind === 'bad'
          ? { kind: 'bad', answer: request.answer.toString('hex'), message: request.error.message }
          : { kind: 'connect', to: request.to, protocol: request.protocol, granted: request.granted.toString('hex') };
    const isAnswered = request.kind !== 'connect';
    const left = isAnswered ? '' : Buffer.concat([rest, ...pieces.slice(index + 1)]).toString('hex');
    return { said: Buffer.concat(said).toString('hex'), request: plain, left };
  }
  return { said: Buffer.concat(said).toString('hex'), request: undefined, left: '' };
}

function everySplit(bytes: Buffer): void {
  const whole = outcome([bytes]);
  assert.deepEqual(outcome(Array.from(bytes, (byte) => Buffer.from([byte]))), whole, 'byte by byte');
  for (let at = 1; at < bytes.length; at += 1) {
    assert.deepEqual(outcome([bytes.subarray(0, at), bytes.subarray(at)]), whole, `cut at ${at}`);
  }
}

const byte = fc.nat(255);
const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
const label = fc.stringMatching(/^[a-z0-9_-]{1,20}$/);
const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => `${labels.join('.')}x`);
const tail = bytes(20);

const socks5 = fc
  .record({
    methods: fc.uint8Array({ maxLength: 4 }),
    command: fc.constantFrom(1, 1, 1, 2, 3, 9),
    type: fc.constantFrom(1, 3, 3, 4, 7),
    name,
    address: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    port: fc.nat(65_535),
    tail,
  })
  .map(({ methods, command, type, name: text, address, port, tail: rest }) => {
    const far =
      type === 3
        ? Buffer.from([text.length, ...Buffer.from(text)])
        : Buffer.from(address.subarray(0, type === 1 ? 4 : 16));
    const greeting = [5, methods.length + 1, ...methods, 0];
    return Buffer.concat([
      Buffer.from([...greeting, 5, command, 0, type]),
      far,
      Buffer.from([port >> 8, port & 255]),
      rest,
    ]);
  });
const socks4 = fc
  .record({ command: fc.constantFrom(1, 1, 2), port: fc.nat(65_535), isNamed: fc.boolean(), name, user: label, tail })
  .map(({ command, port, isNamed, name: text, user, tail: rest }) =>
    Buffer.concat([
      Buffer.from([4, command, port >> 8, port & 255, ...(isNamed ? [0, 0, 0, 7] : [10, 0, 0, 7])]),
      Buffer.from(isNamed ? `${user}\0${text}\0` : `${user}\0`),
      rest,
    ]),
  );
const http = fc
  .record({ method: fc.constantFrom('CONNECT', 'GET', 'POST'), form: fc.nat(3), name, port: fc.nat(70_000), tail })
  .map(({ method, form, name: text, port, tail: rest }) => {
    const target = [`${text}:${port}`, `http://${text}:${port}/x`, '/proxy.pac', `[fd00::${port & 0xfff}]:${port}`][
      form
    ];
    return Buffer.concat([Buffer.from(`${method} ${target} HTTP/1.1\r\nHost: ${text}\r\nA: b\r\n\r\n`), rest]);
  });
const garbage = fc
  .tuple(fc.constantFrom(4, 5, 0x43, 0x47, 0), bytes(300))
  .map(([first, rest]) => Buffer.concat([Buffer.from([first]), rest]));

describe('whatever a client of the SOCKS port says', () => {
  for (const [what, arbitrary] of [
    ['SOCKS5', socks5],
    ['SOCKS4', socks4],
    ['HTTP', http],
    ['garbage', garbage],
  ] as const) {
    test(`${what} is read the same at every split`, () => {
      fc.assert(fc.property(arbitrary, everySplit), { numRuns: 60 });
    });
  }

  test('nothing is held beyond a bound: an endless client is refused', () => {
    fc.assert(
      fc.property(byte, byte, (first, filler) => {
        const reader = new AnyReader();
        if (reader.receive(Buffer.from([first])).request) return;
        const piece = Buffer.alloc(1_024, filler);
        for (let count = 0; count < 20; count += 1) if (reader.receive(piece).request) return;
        assert.fail(`a client that begins with ${first} and goes on with ${filler} may go on for ever`);
      }),
      { numRuns: 200 },
    );
  });
});

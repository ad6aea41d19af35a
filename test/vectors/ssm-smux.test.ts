import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloudtunError } from '../../src/domain/errors.ts';
import {
  SMUX_COMMAND,
  SMUX_HEADER_LENGTH,
  SMUX_MAX_SENT_PAYLOAD,
  SmuxParser,
} from '../../src/transport/smux/core/frame.ts';
import { SmuxStreams } from '../../src/transport/smux/core/streams.ts';
import { reportVectors, type SmuxFrameVector, ssmVectors, unhex } from '../support/ssm-vectors.ts';

const smux = ssmVectors('smux');
const scenario = (name: string) => {
  const found = smux.scenarios.find((candidate) => candidate.name.startsWith(name));
  assert.ok(found, `a scenario that begins with "${name}"`);
  return found;
};

/** The whole frame, also where the vector only describes a long payload. */
function bytesOf(frame: SmuxFrameVector): Buffer {
  if (frame.frameHex !== undefined) return unhex(frame.frameHex);
  const described = /^payload is (\d+) bytes of 0x([0-9a-f]{2})$/.exec(frame.note ?? '');
  assert.ok(described, frame.note);
  return Buffer.concat([unhex(frame.headerHex), Buffer.alloc(Number(described[1]), Number(`0x${described[2]}`))]);
}

const payloadOf = (frame: SmuxFrameVector) => bytesOf(frame).subarray(SMUX_HEADER_LENGTH);

/** Our client half, with what it told and everything it wants to send. */
function client() {
  const told: string[] = [];
  const streams = new SmuxStreams({
    data: (id, bytes) => void told.push(`data ${id} ${bytes.toString('latin1')}`),
    finished: (id, refused) => void told.push(`finished ${id}${refused ? ' refused' : ''}`),
    synTaken: () => {},
  });
  const output = (pieceBytes = 1024) => {
    const pieces: Buffer[] = [];
    for (;;) {
      const piece = Buffer.alloc(pieceBytes);
      const byteCount = streams.pull(piece, 0, pieceBytes);
      if (byteCount === 0) return Buffer.concat(pieces).toString('hex');
      pieces.push(piece.subarray(0, byteCount));
    }
  };
  return { streams, told, output };
}

const hexOf = (frames: readonly SmuxFrameVector[]) => Buffer.concat(frames.map(bytesOf)).toString('hex');
const from = (dir: 'client' | 'server', { frames }: { readonly frames: readonly SmuxFrameVector[] }) =>
  frames.filter((frame) => frame.dir === dir);
const noted = () => {};

/** How we come to each recorded scenario. */
const SCENARIOS: Readonly<Record<string, () => void>> = {
  'v1 open, write, echo, close by client': () => {
    const recorded = scenario('v1 open, write, echo, close by client');
    const { streams, told, output } = client();
    const [syn, hello, echo, fin, farFin] = recorded.frames;
    const id = streams.open();
    assert.equal(id, syn!.streamId);
    streams.write(id, payloadOf(hello!), noted);
    assert.equal(output(), hexOf([syn!, hello!]));
    streams.receive(bytesOf(echo!));
    assert.deepEqual(told, ['data 3 HELLO']);
    streams.close(id, false);
    assert.equal(output(), hexOf([fin!]));
    streams.receive(bytesOf(farFin!));
    assert.equal(output(), '', 'one FIN only');
  },
  'v1 three streams from the client, ids, one byte each': () => {
    const recorded = scenario('v1 three streams');
    const { streams, output } = client();
    for (const frame of recorded.frames.filter(({ cmdName }) => cmdName === 'PSH')) {
      const id = streams.open();
      assert.equal(id, frame.streamId);
      streams.write(id, payloadOf(frame), noted);
    }
    assert.equal(output(), hexOf(recorded.frames));
  },
  // The agent opens no streams; one that does is not answered, and its bytes go nowhere.
  'v1 stream opened by the server': () => {
    const { streams, told, output } = client();
    streams.receive(unhex(hexOf(from('server', scenario('v1 stream opened by the server')))));
    assert.deepEqual(told, []);
    assert.equal(output(), '');
  },
  'v1 40000-byte write is cut at the max frame size': () => {
    const recorded = scenario('v1 40000-byte write');
    const { streams, output } = client();
    streams.write(streams.open(), Buffer.alloc(40_000, 0x5a), noted);
    assert.equal(output(), hexOf(recorded.frames));
    assert.equal(SMUX_MAX_SENT_PAYLOAD, smux.defaults.maxFrameSize);
  },
  // Ours never sends NOP (it would count as user activity, docs/protocol/smux.md, "Keep-alive"), and takes one without a word.
  'v1 keep-alive NOP (interval shortened to 200 ms for the recording)': () => {
    const { streams, told, output } = client();
    streams.receive(unhex(hexOf(from('server', scenario('v1 keep-alive')))));
    assert.deepEqual(told, []);
    assert.equal(output(), '');
  },
  // Never used by the product: the first version 2 frame ends the tunnel.
  'v2 (never used by the product) window updates': () => {
    for (const frame of from('server', scenario('v2'))) {
      assert.throws(() => client().streams.receive(bytesOf(frame)), { code: 'CT_PROTO_MUX' });
    }
  },
};

/** Our parser against the raw input that the real library got; `result` is what that library (as a server) made of it. */
interface Receiver {
  readonly events: readonly string[];
  /** Set where ours ends otherwise than the library: why that is right for a client. */
  readonly differs?: string;
  readonly error?: 'CT_PROTO_MUX';
}

/** The one deliberate difference. */
const DEAF: Receiver = {
  events: [],
  error: 'CT_PROTO_MUX',
  differs: 'the library leaves such a session open and deaf (closed=false); ours ends the tunnel with a typed error',
};

const opened = (id: number, ...more: string[]): Receiver => ({ events: [`syn ${id}`, `data ${id} ok`, ...more] });

const RECEIVER: Readonly<Record<string, Receiver>> = {
  "SYN 3 + PSH 'ok'": opened(3),
  'SYN 3, SYN 3 again, PSH': { events: ['syn 3', 'syn 3', 'data 3 ok'] },
  'PSH for an unknown stream, then SYN 3 + PSH': { events: ['data 77 xy', 'syn 3', 'data 3 ok'] },
  'FIN for an unknown stream, then SYN 3 + PSH': { events: ['fin 77', 'syn 3', 'data 3 ok'] },
  'SYN 3, PSH, FIN in one write': opened(3, 'fin 3'),
  'PSH with length 0, then PSH': opened(3),
  'version 2 frame to a version 1 session': DEAF,
  'unknown command 5': DEAF,
  // What is left over is the start of a header, for which both wait.
  'NOP with length 4 and 4 bytes: the bytes are read as the next header': { events: ['nop', 'syn 1'] },
  'SYN with length 4 and no bytes: length ignored': opened(3),
  'UPD in v1: 8 payload bytes always consumed': opened(3),
  'server-parity (even) stream id from the client': opened(4),
  'stream id 0xfffffffe': opened(0xfffffffe),
};

function parse(hex: string, pieceBytes: number): { events: string[]; error: string | undefined } {
  const events: string[] = [];
  let partial: { id: number; text: string } | undefined;
  const flush = () => {
    if (partial) events.push(`data ${partial.id} ${partial.text}`);
    partial = undefined;
  };
  const event = (text: string) => {
    flush();
    events.push(text);
  };
  const parser = new SmuxParser({
    syn: (id) => event(`syn ${id}`),
    fin: (id) => event(`fin ${id}`),
    nop: () => event('nop'),
    data: (id, bytes) => {
      if (partial && partial.id !== id) flush();
      partial = { id, text: (partial?.text ?? '') + bytes.toString('latin1') };
    },
  });
  const bytes = unhex(hex);
  try {
    for (let at = 0; at < bytes.length; at += pieceBytes) parser.receive(bytes.subarray(at, at + pieceBytes));
  } catch (thrown) {
    assert.ok(thrown instanceof CloudtunError);
    flush();
    return { events, error: thrown.code };
  }
  flush();
  return { events, error: undefined };
}

let run = 0;

for (const { name } of smux.scenarios) {
  test(`smux scenario: ${name}`, () => {
    assert.ok(SCENARIOS[name], 'somebody plays it');
    SCENARIOS[name]();
    run++;
  });
}

for (const { name, hex, result } of smux.receiver) {
  test(`smux receiver: ${name}`, () => {
    const expected = RECEIVER[name];
    assert.ok(expected, `somebody looks at it; the library said: ${result}`);
    for (const pieceBytes of [hex.length, 1, 3, 7]) {
      assert.deepEqual(
        parse(hex, pieceBytes),
        { events: expected.events, error: expected.error },
        `${pieceBytes} a piece`,
      );
    }
    const libraryRefused = result.includes('invalid protocol');
    assert.equal(expected.error !== undefined, libraryRefused, result);
    // What we give up, the library only stops hearing; nothing else may differ.
    assert.equal(expected.differs !== undefined, libraryRefused && result.includes('session closed=false'), result);
    if (result.includes('read "ok"')) assert.ok(expected.events.some((event) => event.endsWith(' ok')));
    run++;
  });
}

test('every recorded smux frame is as our constants say', () => {
  for (const frame of smux.scenarios.flatMap(({ frames }) => frames)) {
    assert.equal(SMUX_COMMAND[frame.cmdName.toLowerCase() as keyof typeof SMUX_COMMAND], frame.cmd);
    assert.equal(bytesOf(frame).length, SMUX_HEADER_LENGTH + frame.length);
  }
});

test('every smux vector was run', (t) => {
  reportVectors(t, 'smux', run, smux.scenarios.length + smux.receiver.length);
});

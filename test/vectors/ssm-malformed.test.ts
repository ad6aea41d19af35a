/**
 * Frames that are not as they should be: what we do with each, beside what the two official ends do. Ours is stricter where a length
 * lies in a data message (the rule of docs/protocol/ssm.md, "Binary message") and where the official parsers panic, and as lenient as theirs with
 * what the service makes.
 *
 *     CLOUDTUN_PRINT_VERDICTS=1 node --test test/vectors/ssm-malformed.test.ts    prints the table
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloudtunError } from '../../src/domain/errors.ts';
import { decodeMessage, readMessage } from '../../src/transport/ssm/core/client-message.ts';
import { DataChannel } from '../../src/transport/ssm/core/data-channel.ts';
import { seededRandom } from '../support/manual-world.ts';
import {
  type MalformedVector,
  type OfficialVerdict,
  reportVectors,
  ssmVectors,
  unhex,
} from '../support/ssm-vectors.ts';

const FRAME = 'CT_PROTO_FRAME';
const DIGEST = 'CT_PROTO_DIGEST';

/**
 * What a receiver gets out of a frame: an error code, or the message type with payload type and byte count. With `but`: what the
 * data channel makes of it, where that is more than taking it.
 */
interface Verdict {
  readonly read: typeof FRAME | typeof DIGEST | readonly [messageType: string, payloadType: number, byteCount: number];
  readonly channel: 'refused' | 'ignored' | 'delivered' | 'paused' | 'unpaused' | 'closed';
}

const refused = (read: typeof FRAME | typeof DIGEST): Verdict => ({ read, channel: 'refused' });
const taken = (messageType: string, payloadType: number, byteCount: number, channel: Verdict['channel']): Verdict => ({
  read: [messageType, payloadType, byteCount],
  channel,
});

const OURS: Readonly<Record<string, Verdict>> = {
  'empty-buffer': refused(FRAME),
  'three-bytes': refused(FRAME),
  'only-header-length': refused(FRAME),
  'truncated-in-message-type': refused(FRAME),
  'truncated-35': refused(FRAME),
  'truncated-after-message-type': refused(FRAME),
  'truncated-in-sequence': refused(FRAME),
  'truncated-in-uuid': refused(FRAME),
  'truncated-in-digest': refused(FRAME),
  'truncated-112': refused(FRAME),
  'truncated-116': refused(FRAME),
  'truncated-118': refused(FRAME),
  // An empty payload is harmless; input sent to a client is not for us, so the channel leaves it alone.
  'exactly-120-empty-payload': taken('input_stream_data', 1, 0, 'ignored'),
  'exactly-120-empty-payload-zero-digest': taken('input_stream_data', 1, 0, 'ignored'),
  // A data message whose length lies ends the tunnel, whether its digest is right or not.
  'payload-shorter-than-length': refused(FRAME),
  'payload-longer-than-length': refused(FRAME),
  'payload-length-zero-but-data': refused(FRAME),
  'payload-length-zero-bad-digest': refused(FRAME),
  'payload-length-huge': refused(FRAME),
  'bad-digest': refused(DIGEST),
  'bad-digest-one-bit': refused(DIGEST),
  'digest-ascii-hex-prefix': refused(DIGEST),
  'header-length-0': refused(FRAME),
  'header-length-4': refused(FRAME),
  'header-length-112-on-long-message': refused(FRAME),
  'header-length-117': refused(FRAME),
  'header-length-beyond-end': refused(FRAME),
  'header-length-2p32m1': refused(FRAME),
  'header-length-2p32m4': refused(FRAME),
  'created-date-zero': refused(FRAME),
  'created-date-zero-start-publication': taken('start_publication', 0, 17, 'unpaused'),
  'message-type-all-spaces': refused(FRAME),
  'message-type-nul-padded': taken('output_stream_data', 1, 1, 'delivered'),
  'message-type-left-nul-padded': taken('input_stream_data', 1, 1, 'ignored'),
  // Not the name of any type: ignored, as the official client does.
  'message-type-nul-then-space': taken('acknowledge\0\0', 0, 2, 'ignored'),
  // It is an acknowledge, and `{}` names no number.
  'message-type-space-then-nul': taken('acknowledge', 0, 2, 'refused'),
  'message-type-uppercase': taken('OUTPUT_STREAM_DATA', 1, 1, 'ignored'),
  'text-open-data-channel-json': refused(FRAME),
  'ack-not-json': taken('acknowledge', 0, 8, 'refused'),
  'ack-empty-object': taken('acknowledge', 0, 2, 'refused'),
  // The short form of the service, by the rule of docs/protocol/ssm.md, "The short form made by the service".
  'short-header-channel-closed': taken('channel_closed', 0, 230, 'closed'),
  'short-header-channel-closed-output': taken('channel_closed', 0, 250, 'closed'),
  'short-header-start-publication': taken('start_publication', 0, 17, 'unpaused'),
  'short-header-pause-publication': taken('pause_publication', 0, 17, 'paused'),
  'short-header-start-publication-zero-digest': taken('start_publication', 0, 17, 'unpaused'),
  // 116 bytes hold a whole short header; the official parsers want 120.
  'short-header-channel-closed-empty': taken('channel_closed', 0, 0, 'closed'),
};

function readVerdict(frame: Buffer, read: typeof readMessage | typeof decodeMessage): Verdict['read'] {
  try {
    const { messageType, payloadType, payload } = read(frame);
    return [messageType, payloadType, payload.length];
  } catch (thrown) {
    assert.ok(thrown instanceof CloudtunError, `a typed error, not ${thrown}`);
    return thrown.code as typeof FRAME;
  }
}

/** What a data channel that is paused, and waits for output number 0, does with the frame. */
function channelVerdict(frame: Buffer, isPausedBefore: boolean): Verdict['channel'] {
  let seen: Verdict['channel'] = 'ignored';
  const channel = new DataChannel(
    {
      deliver: () => {
        seen = 'delivered';
        return true;
      },
      serviceMessage: (message) => {
        if (message.messageType === 'channel_closed') seen = 'closed';
      },
    },
    { randomBytes: seededRandom().bytes, wall: () => 1 },
  );
  if (isPausedBefore) {
    channel.receive(unhex(malformed.find(({ name }) => name === 'short-header-pause-publication')!.hex), 0);
    assert.ok(channel.isPaused(1));
  }
  try {
    channel.receive(frame, 1);
  } catch (thrown) {
    assert.ok(thrown instanceof CloudtunError && /^CT_PROTO_/.test(thrown.code), `a typed error, not ${thrown}`);
    return 'refused';
  }
  if (seen !== 'ignored') return seen;
  const isPaused = channel.isPaused(2);
  return isPaused === isPausedBefore ? 'ignored' : isPaused ? 'paused' : 'unpaused';
}

const malformed = ssmVectors('malformed');
let run = 0;

for (const vector of malformed) {
  test(`malformed ${vector.name}`, () => {
    const ours = OURS[vector.name];
    assert.ok(ours, 'a verdict of ours is written down');
    const frame = unhex(vector.hex);
    assert.deepEqual(readVerdict(frame, readMessage), ours.read);
    assert.deepEqual(readVerdict(frame, decodeMessage), ours.read, 'both readers agree');
    const isPausedBefore = ours.channel === 'unpaused';
    assert.equal(channelVerdict(frame, isPausedBefore), ours.channel);
    // Where an official end refuses or crashes on a data message, ours must not go on; the service's short form is the exception.
    if (vector.client.outcome !== 'parsed' && vector.name !== 'short-header-channel-closed-empty') {
      assert.equal(ours.read, FRAME);
    }
    run++;
  });
}

const official = (verdict: OfficialVerdict) =>
  verdict.outcome === 'parsed' && verdict.validate !== 'ok' ? `refused: ${verdict.validate}` : verdict.outcome;

const mine = ({ name }: MalformedVector) => {
  const verdict = OURS[name]!;
  return typeof verdict.read === 'string'
    ? verdict.read
    : `${verdict.read[0].replaceAll('\0', '\\0')}: ${verdict.channel}`;
};

test('every malformed frame has its verdict', (t) => {
  assert.deepEqual(Object.keys(OURS).sort(), malformed.map(({ name }) => name).sort());
  reportVectors(t, 'malformed', run, malformed.length);
  if (process.env.CLOUDTUN_PRINT_VERDICTS === undefined) return;
  t.diagnostic(['frame'.padEnd(44), 'cloudtun'.padEnd(34), 'official client'.padEnd(36), 'official agent'].join(' '));
  for (const vector of malformed) {
    const columns = [mine(vector).padEnd(34), official(vector.client).padEnd(36), official(vector.agent)];
    t.diagnostic([vector.name.padEnd(44), ...columns].join(' '));
  }
});

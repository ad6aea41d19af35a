/**
 * Whole sessions of the official agent, replayed into our cores: the agent's frames at their times, the user's actions at the times of
 * the recorded client. Where that client is the official one our answers are compared one by one (ids and dates differ); where it is
 * an independent one only what any right client answers.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SMUX_COMMAND, SmuxParser, smuxFrame } from '../../src/transport/smux/core/frame.ts';
import type { SmuxStream } from '../../src/transport/smux/smux-stream.ts';
import { acknowledgedNumber } from '../../src/transport/ssm/core/acknowledge.ts';
import { decodeMessage, encodeMessage, type MessageFields } from '../../src/transport/ssm/core/client-message.ts';
import { kmsActionResult } from '../../src/transport/ssm/core/handshake.ts';
import { SessionCipher } from '../../src/transport/ssm/core/session-cipher.ts';
import { PAYLOAD_TYPE } from '../../src/transport/ssm/core/wire-format.ts';
import { CoreClient } from '../support/core-client.ts';
import { settle } from '../support/manual-world.ts';
import { reportVectors, ssmVectors, type Transcript, type TranscriptFrame, unhex } from '../support/ssm-vectors.ts';

const transcripts = ssmVectors('transcripts');

/** Frames that the recorded client made wrong on purpose: they do not encode back, and their digests are not checked. */
const WRONG_ON_PURPOSE = ['mux-port-order-and-digest'];

const binaries = (transcript: Transcript) => transcript.frames.filter((frame) => frame.kind === 'binary');
const dataFrames = (transcript: Transcript, from: 'client' | 'agent', messageType: string) =>
  binaries(transcript).filter((frame) => frame.from === from && frame.summary!.messageType === messageType);

function checkFrame(frame: TranscriptFrame, isRight: boolean): void {
  const bytes = unhex(frame.hex!);
  const { summary } = frame;
  const message = decodeMessage(bytes, isRight);
  assert.equal(message.messageType, summary!.messageType);
  assert.equal(String(message.sequenceNumber), summary!.sequenceNumber);
  assert.equal(String(message.flags), summary!.flags);
  assert.equal(message.payloadType, summary!.payloadType ?? 0);
  if (summary!.payloadText !== undefined) assert.equal(Buffer.from(message.payload).toString(), summary!.payloadText);
  else if (isRight) assert.equal(Buffer.from(message.payload).toString('hex'), summary!.payloadHex);
  if (isRight) assert.equal(encodeMessage(message).toString('hex'), frame.hex);
}

/** What the user at the recorded client did, judged by what that client sent. */
class User {
  readonly streams = new Map<number, SmuxStream>();
  /** What each stream received, and how it ended. */
  readonly received = new Map<number, string>();
  readonly #client: CoreClient;

  constructor(client: CoreClient) {
    this.#client = client;
  }

  replay(message: MessageFields): void {
    const payload = Buffer.from(message.payload);
    if (message.payloadType === PAYLOAD_TYPE.handshakeResponse) return;
    if (message.payloadType === PAYLOAD_TYPE.output && this.#client.mode === 'mux') this.#smux(payload);
    else if (message.payloadType === PAYLOAD_TYPE.output) this.#client.rawOutput.push(payload);
    else if (payload.length > 0) this.#client.sendControl(message.payloadType, payload);
  }

  #smux(payload: Buffer): void {
    // Alone: the recorded client closed. Behind data: it finished its request, and we would wait for the answer.
    const isFinAlone = payload.equals(smuxFrame(SMUX_COMMAND.fin, payload.length === 8 ? payload.readUInt32LE(4) : 0));
    new SmuxParser({
      syn: (id) => void this.#streamOf(id),
      data: (id, bytes) => void this.#streamOf(id).write(Buffer.from(bytes)),
      fin: (id) => (isFinAlone ? this.#streamOf(id).destroy() : this.#streamOf(id).end()),
    }).receive(payload);
  }

  /** One transcript starts in the middle: its first bytes for a stream come in message 3, its SYN in message 1. */
  #streamOf(id: number): SmuxStream {
    while (!this.streams.has(id)) this.#open();
    return this.streams.get(id)!;
  }

  #open(): void {
    const stream = this.#client.mux.open();
    if (this.streams.has(stream.id)) return;
    this.streams.set(stream.id, stream);
    this.received.set(stream.id, '');
    const add = (text: string) => this.received.set(stream.id, this.received.get(stream.id)! + text);
    stream.on('data', (bytes: Buffer) => add(bytes.toString('latin1')));
    stream.on('end', () => add(' end'));
    stream.on('error', (error: Error & { code?: string }) => add(` ${error.code}`));
  }
}

async function replay(transcript: Transcript): Promise<{ client: CoreClient; user: User }> {
  const response = dataFrames(transcript, 'client', 'input_stream_data').find(
    ({ summary }) => summary!.payloadType === 6,
  );
  const clientVersion = response
    ? (JSON.parse(response.summary!.payloadText!) as { ClientVersion: string }).ClientVersion
    : '1.2.764.0';
  const client = new CoreClient({ clientVersion, resultOf: () => kmsActionResult(Buffer.from('key'), true) });
  const user = new User(client);
  const isRight = !WRONG_ON_PURPOSE.includes(transcript.name);
  for (const frame of binaries(transcript)) {
    client.passTo(frame.ms);
    const message = decodeMessage(unhex(frame.hex!), frame.from === 'agent' || isRight);
    if (frame.from === 'agent') {
      // The recorded client sent some messages that ours does not (an empty one, one with a wrong header): nor are they acknowledged.
      const isAcknowledge = message.messageType === 'acknowledge';
      const isForUs =
        !isAcknowledge || acknowledgedNumber(Buffer.from(message.payload)) < client.channel.sending.nextNumber;
      if (isForUs) client.receive(unhex(frame.hex!));
    } else if (message.messageType === 'input_stream_data' && message.payload.length > 0) {
      user.replay(message);
    }
    await settle(3);
    client.send();
  }
  client.passTo(client.now + 20);
  return { client, user };
}

const summaryOf = ({ sequenceNumber, payloadType, payload }: MessageFields) =>
  `${sequenceNumber} type ${payloadType} ${Buffer.from(payload).toString('hex')}`;
const textOf = ({ payload }: { readonly payload: Uint8Array }) => Buffer.from(payload).toString();
const pieceOf = (piece: { readonly payloadType: number; readonly payload: Buffer }) =>
  `${piece.payloadType === PAYLOAD_TYPE.output ? '' : `[${piece.payloadType}]`}${textOf(piece)}`;

/** What any right client does: answers the handshake once, acknowledges whatever came, says nothing before Complete. */
function checkManners(transcript: Transcript, client: CoreClient): void {
  const outputs = dataFrames(transcript, 'agent', 'output_stream_data');
  assert.equal(client.channel.expectedNumber, new Set(outputs.map(({ summary }) => summary!.sequenceNumber)).size);
  assert.equal(client.acknowledges.length, outputs.length, 'one acknowledge a message, repeated ones included');
  for (const acknowledge of client.acknowledges) {
    const { sequenceNumber, flags, payloadType, schemaVersion } = acknowledge;
    assert.deepEqual([sequenceNumber, flags, payloadType, schemaVersion], [0n, 3n, 0, 1]);
  }
  const ours = new Set(client.acknowledges.map(textOf));
  for (const recorded of dataFrames(transcript, 'client', 'acknowledge')) {
    assert.ok(ours.has(recorded.summary!.payloadText!), `we send ${recorded.summary!.payloadText}`);
  }
  const responses = client.inputs.filter(({ payloadType }) => payloadType === PAYLOAD_TYPE.handshakeResponse);
  const requests = outputs.filter(({ summary }) => summary!.payloadType === PAYLOAD_TYPE.handshakeRequest);
  assert.equal(responses.length, requests.length > 0 ? 1 : 0, 'answered once');
  if (responses.length > 0) assert.equal(responses[0]!.sequenceNumber, 0n, 'and first of all');
}

/** What the user sees: by stream, or all of it in raw modes and shells (payload type before each piece but Output). */
const SEEN: Readonly<Record<string, Readonly<Record<number, string>> | string>> = {
  'mux-port-official-client': { 3: 'hello\n' },
  'mux-port-connect-failure': { 3: ' CT_REMOTE_REFUSED', 5: ' CT_REMOTE_REFUSED' },
  'mux-port-early-fin': { 3: ' end' },
  'mux-port-target-half-close': { 3: 'bye end' },
  'mux-port-order-and-digest': { 3: 'ABCDEGIK' },
  'data-before-handshake-is-swallowed': { 3: '', 5: 'late' },
  'basic-port': 'echo:helloecho:secondbyeecho:thirdecho:\n',
  'basic-port-connect-failure': '',
  'ssh-port': 'SSH-2.0-x\r\necho:hellobye',
  shell: '$ stty size; echo héllo; exit\r\n24 80\r\nhéllo\r\n',
  'interactive-command': 'one\r\nabc\r\ngot=abc\r\n',
  'non-interactive': 'out1\nerr1\nout2\n',
  'non-interactive-separate-output': 'out1\n[11]E_err1\nout2\n[12]EXIT_CODE: 7',
  'non-interactive-interrupt': '[12]EXIT_CODE: 1',
};

/** The same, opened, of encrypted sessions. */
const SEALED: Readonly<Record<string, readonly string[]>> = {
  'shell-kms': ['1 $ ', '1 echo hi; exit\r\nhi\r\n'],
  'non-interactive-separate-output-kms': ['1 out1\n', '11 err1\n', '12 EXIT_CODE: 7'],
};

let run = 0;
let frameCount = 0;

for (const transcript of transcripts) {
  test(`transcript ${transcript.name}`, async () => {
    const isRight = !WRONG_ON_PURPOSE.includes(transcript.name);
    for (const frame of binaries(transcript)) checkFrame(frame, isRight || frame.from === 'agent');
    frameCount += transcript.frames.length;
    const { client, user } = await replay(transcript);
    checkManners(transcript, client);
    if (transcript.dataKeyHex === undefined) {
      const seen = client.mode === 'mux' ? Object.fromEntries(user.received) : client.delivered.map(pieceOf).join('');
      assert.deepEqual(seen, SEEN[transcript.name]);
    }
    if (transcript.client === 'official') {
      const recorded = dataFrames(transcript, 'client', 'input_stream_data').map(({ hex }) =>
        decodeMessage(unhex(hex!)),
      );
      assert.deepEqual(client.inputs.map(summaryOf), recorded.map(summaryOf));
      assert.equal(client.sent.length, client.inputs.length + client.acknowledges.length, 'nothing was sent twice');
    }
    if (transcript.dataKeyHex !== undefined) checkSealed(transcript, client);
    run++;
  });
}

/** Opens everything in an encrypted session with our cipher, each direction with its own half of the key. */
function checkSealed(transcript: Transcript, client: CoreClient): void {
  const key = unhex(transcript.dataKeyHex!);
  const ours = new SessionCipher(key, (byteCount) => Buffer.alloc(byteCount, 7));
  const far = new SessionCipher(Buffer.concat([key.subarray(32), key.subarray(0, 32)]), () => Buffer.alloc(12));
  const challenge = client.delivered.find(({ payloadType }) => payloadType === PAYLOAD_TYPE.encChallengeRequest)!;
  const valueOf = (text: string) =>
    far.open(Buffer.from((JSON.parse(text) as { Challenge: string }).Challenge, 'base64'));
  const recorded = dataFrames(transcript, 'client', 'input_stream_data');
  const recordedAnswer = recorded.find(({ summary }) => summary!.payloadType === PAYLOAD_TYPE.encChallengeResponse)!;
  const answer = valueOf(ours.answerChallenge(challenge.payload));
  assert.equal(answer.length, 64);
  assert.deepEqual(answer, valueOf(recordedAnswer.summary!.payloadText!));
  const sealedTypes: readonly number[] = [PAYLOAD_TYPE.output, PAYLOAD_TYPE.stdErr, PAYLOAD_TYPE.exitCode];
  const opened = client.delivered
    .filter(({ payloadType }) => sealedTypes.includes(payloadType))
    .map(({ payloadType, payload }) => `${payloadType} ${ours.open(payload).toString()}`);
  assert.deepEqual(opened, SEALED[transcript.name]);
  for (const { summary, hex } of recorded.filter(({ summary }) => summary!.payloadType === PAYLOAD_TYPE.output)) {
    assert.match(
      far.open(Buffer.from(decodeMessage(unhex(hex!)).payload)).toString(),
      /\S/,
      `input ${summary!.sequenceNumber}`,
    );
  }
  assert.equal(client.customerMessage, 'This session is encrypted using AWS KMS.');
}

test('every transcript was replayed', (t) => {
  t.diagnostic(`${frameCount} recorded frames`);
  reportVectors(t, 'transcripts', run, transcripts.length);
});

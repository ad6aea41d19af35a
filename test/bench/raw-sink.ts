/** A client that does the least: handshake, one stream, then it throws away what comes and acknowledges nothing. */
import { randomBytes, randomUUID } from 'node:crypto';
import WebSocket from 'ws';
import { SMUX_COMMAND, smuxFrame } from '../../src/transport/smux/core/frame.ts';
import { readMessage } from '../../src/transport/ssm/core/client-message.ts';
import { handshakeResponseText } from '../../src/transport/ssm/core/handshake.ts';
import { MessageWriter } from '../../src/transport/ssm/core/message-writer.ts';
import { openDataChannelText } from '../../src/transport/ssm/core/open-data-channel.ts';
import { CLIENT_VERSION } from '../../src/transport/ssm/core/version-gates.ts';
import { PAYLOAD_TYPE } from '../../src/transport/ssm/core/wire-format.ts';
import type { LabProcess } from './lab-process.ts';

const STREAM_ID = 3;

/** MB/s of stream bytes that the agent puts into the sink. */
export async function rawSinkRate(lab: LabProcess, byteCount: number): Promise<number> {
  const { source, to } = lab.tickets();
  const ticket = await source.issue(to, new AbortController().signal);
  const socket = new WebSocket(ticket.streamUrl, { perMessageDeflate: false });
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const writer = new MessageWriter('input_stream_data', 0, randomBytes);
  let number = 0;
  let expected = 0;
  let received = 0;
  let began = 0;
  const send = (payloadType: number, payload: Uint8Array) =>
    socket.send(writer.build(payloadType, payload, number++, Date.now()));
  socket.on('error', reject);
  socket.on('close', (code) => reject(new Error(`the raw sink was closed with ${code}`)));
  socket.on('open', () =>
    socket.send(
      openDataChannelText({
        requestId: randomUUID(),
        token: ticket.token.reveal(),
        clientId: randomUUID(),
        clientVersion: CLIENT_VERSION,
      }),
    ),
  );
  socket.on('message', (data: Buffer, isBinary) => {
    if (!isBinary) return;
    const message = readMessage(data, false);
    if (message.messageType !== 'output_stream_data' || message.sequenceNumber !== expected) return;
    expected++;
    if (message.payloadType === PAYLOAD_TYPE.handshakeRequest) {
      const outcome = { actionType: 'SessionType', status: 1 } as const;
      send(PAYLOAD_TYPE.handshakeResponse, Buffer.from(handshakeResponseText(CLIENT_VERSION, [outcome])));
    } else if (message.payloadType === PAYLOAD_TYPE.handshakeComplete) {
      began = performance.now();
      const head = Buffer.from(`FLOOD ${byteCount}\n`);
      send(
        PAYLOAD_TYPE.output,
        Buffer.concat([smuxFrame(SMUX_COMMAND.syn, STREAM_ID), smuxFrame(SMUX_COMMAND.psh, STREAM_ID, head)]),
      );
    } else if (message.payloadType === PAYLOAD_TYPE.output) {
      // Eight bytes of frame header for every 32 KiB: not worth taking out.
      received += message.payload.length;
      if (received >= byteCount) resolve(byteCount / 1e3 / (performance.now() - began));
    }
  });
  try {
    return await promise;
  } finally {
    socket.terminate();
    await source.release(ticket);
  }
}

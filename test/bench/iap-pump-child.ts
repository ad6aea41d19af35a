/**
 * A bare `ws` client of the relay: a local port, one websocket for each connection, frames of 16 KiB, an acknowledge every 32 KiB, and
 * nothing else: no resume, nothing kept. What the machine and the library can do. Settings come by the environment: PUMP_ROOT,
 * PUMP_QUERY, PUMP_TOKEN, PUMP_CA (a path), PUMP_PORT.
 */
import { readFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import WebSocket from 'ws';

const { PUMP_ROOT = '', PUMP_QUERY = '', PUMP_TOKEN = '', PUMP_CA = '', PUMP_PORT = '0' } = process.env;
const ca = readFileSync(PUMP_CA);
const MAX_PAYLOAD = 16_384;
const ACK_BYTES = 32_768;
const HIGH_WATER_BYTES = 1024 * 1024;
const [SID_TAG, DATA_TAG, ACK_TAG] = [1, 4, 7];

function dataFrame(payload: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(6 + payload.length);
  frame.writeUInt16BE(DATA_TAG);
  frame.writeUInt32BE(payload.length, 2);
  payload.copy(frame, 6);
  return frame;
}

function ackFrame(total: number): Buffer {
  const frame = Buffer.alloc(10);
  frame.writeUInt16BE(ACK_TAG);
  frame.writeBigUInt64BE(BigInt(total), 2);
  return frame;
}

function serve(local: Socket): void {
  const relay = new WebSocket(`${PUMP_ROOT}/connect?${PUMP_QUERY}`, ['relay.tunnel.cloudproxy.app'], {
    origin: 'bot:iap-tunneler',
    headers: { Authorization: `Bearer ${PUMP_TOKEN}` },
    perMessageDeflate: false,
    skipUTF8Validation: true,
    ca,
  });
  let received = 0;
  let acknowledged = 0;
  local.on('error', () => {});
  local.on('data', (chunk: Buffer) => {
    for (let at = 0; at < chunk.length; at += MAX_PAYLOAD) relay.send(dataFrame(chunk.subarray(at, at + MAX_PAYLOAD)));
    if (relay.bufferedAmount <= HIGH_WATER_BYTES) return;
    local.pause();
    const wait = () => (relay.bufferedAmount > HIGH_WATER_BYTES ? setTimeout(wait, 1) : local.resume());
    wait();
  });
  local.pause();
  local.on('close', () => relay.terminate());
  relay.on('error', () => local.destroy());
  relay.on('close', () => local.end());
  relay.on('message', (message: Buffer) => {
    const tag = message.readUInt16BE();
    if (tag === SID_TAG) local.resume();
    if (tag !== DATA_TAG) return;
    received += message.length - 6;
    if (received - acknowledged >= ACK_BYTES) {
      acknowledged = received;
      relay.send(ackFrame(received));
    }
    if (!local.write(message.subarray(6))) relay.pause();
  });
  local.on('drain', () => relay.resume());
}

createServer({ pauseOnConnect: true, noDelay: true }, serve).listen(Number(PUMP_PORT), '127.0.0.1', () =>
  process.stdout.write('ready\n'),
);

/** The other end of the bare `ws` pump: counts what comes, or sends as fast as the socket takes it. No Session Manager in it. */
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

const FRAME_BYTES = 1144;
const BURST = 64;
const HIGH_WATER_BYTES = 1024 * 1024;

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false, skipUTF8Validation: true });
server.on('listening', () => process.send?.({ port: (server.address() as AddressInfo).port }));
server.on('connection', (socket, request) => {
  const wanted = Number(new URL(request.url ?? '/', 'http://localhost').searchParams.get('frames'));
  if (request.url?.startsWith('/down')) pump(socket, wanted);
  else count(socket, wanted);
});

function count(socket: WebSocket, wanted: number): void {
  let received = 0;
  socket.on('message', () => {
    if (++received === wanted) socket.send('all');
  });
}

function pump(socket: WebSocket, wanted: number): void {
  const frame = Buffer.alloc(FRAME_BYTES, 1);
  let sent = 0;
  const step = () => {
    for (let index = 0; index < BURST && sent < wanted; index++, sent++) socket.send(frame);
    if (sent >= wanted || socket.readyState !== socket.OPEN) return;
    if (socket.bufferedAmount > HIGH_WATER_BYTES) setTimeout(step, 1);
    else setImmediate(step);
  };
  step();
}

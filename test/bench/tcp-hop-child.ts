/** A bare TCP hop: accepts, connects on, pipes both ways. What any forwarder in Node costs at least. */
import { type AddressInfo, connect, createServer } from 'node:net';

const [host, port] = process.argv.slice(2);
const server = createServer({ noDelay: true }, (socket) => {
  const onward = connect({ host: host ?? '127.0.0.1', port: Number(port), noDelay: true });
  socket.pipe(onward).pipe(socket);
  socket.on('error', () => onward.destroy());
  onward.on('error', () => socket.destroy());
});
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.on('disconnect', () => process.exit());

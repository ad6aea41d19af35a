import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface SocketPair {
  /** What a local program holds. */
  readonly client: Socket;
  /** What the listener accepted. */
  readonly accepted: Socket;
}

/** A connection over loopback, both ends in hand, half-open allowed; the test closes them. */
export async function socketPair(host = '127.0.0.1'): Promise<SocketPair> {
  const server = createServer({ allowHalfOpen: true });
  server.listen({ host, port: 0 });
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('not bound');
  const client = connect({ host, port: address.port, allowHalfOpen: true });
  const [[accepted]] = await Promise.all([once(server, 'connection'), once(client, 'connect')]);
  server.close();
  accepted.on('error', () => {});
  return { client, accepted };
}

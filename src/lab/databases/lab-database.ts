import type { AddressInfo, Server, Socket } from 'node:net';
import { CloudtunError } from '../../domain/errors.ts';

/** A database of the lab that listens. Disposing it closes the listener and every connection. */
export interface LabDatabase extends AsyncDisposable {
  readonly address: { readonly host: '127.0.0.1'; readonly port: number };
}

/**
 * Listens on 127.0.0.1, and nowhere else: the lab's passwords are public.
 *
 * @param afterClose runs when the last connection is gone
 * @throws CT_LAB_FAILED when the port cannot be had
 */
export async function listenOnLoopback(
  server: Server,
  port: number,
  afterClose: () => void | Promise<void>,
): Promise<LabDatabase> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    // A reset ends the connection like anything else; without a listener it would end the process.
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new CloudtunError('CT_LAB_FAILED', `the lab cannot listen on 127.0.0.1:${port}`, { cause }));
    });
    server.listen(port, '127.0.0.1', resolve);
  });
  let closed: Promise<void> | undefined;
  const close = async () => {
    const isClosed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of sockets) socket.destroy();
    await isClosed;
    await afterClose();
  };
  return {
    address: { host: '127.0.0.1', port: (server.address() as AddressInfo).port },
    [Symbol.asyncDispose]: () => {
      closed ??= close();
      return closed;
    },
  };
}

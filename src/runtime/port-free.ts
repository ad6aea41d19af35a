import { createConnection } from 'node:net';

/** Whether nothing answers at a local address. @param local `127.0.0.1:13306`, `[::1]:13306` */
export function isPortFree(local: string): Promise<boolean> {
  const [, host = '', port = ''] = /^\[?(.*?)\]?:(\d+)$/.exec(local) ?? [];
  return new Promise((resolve) => {
    const socket = createConnection({ host, port: Number(port) });
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', () => resolve(true));
  });
}

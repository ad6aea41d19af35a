import type { Duplex } from 'node:stream';

/**
 * The first bytes a client sends, left in the stream as they were: undefined when it closes or `signal` aborts before there are that
 * many. The client must have no other reader meanwhile. Never rejects.
 */
export function clientOpening(client: Duplex, byteCount: number, signal: AbortSignal): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const settle = (opening: Buffer | undefined) => {
      client.off('readable', look);
      client.off('end', giveUp);
      client.off('close', giveUp);
      signal.removeEventListener('abort', giveUp);
      resolve(opening);
    };
    const giveUp = () => settle(undefined);
    const look = () => {
      // `read(n)` gives null, and keeps what there is, until there are n bytes; after the end it gives the rest.
      const bytes = client.read(byteCount) as Buffer | null;
      if (bytes === null) return;
      client.unshift(bytes);
      settle(bytes.length === byteCount ? bytes : undefined);
    };
    // This one stays on for good: until the caller listens, a client's reset must not end the process.
    client.on('error', () => {});
    client.on('readable', look);
    client.on('end', giveUp);
    client.on('close', giveUp);
    signal.addEventListener('abort', giveUp, { once: true });
    if (signal.aborted || client.destroyed || client.readableEnded) giveUp();
    else look();
  });
}

/** `ws`'s own frame parser, which its types leave out: an independent reader of what we frame ourselves. */
import type { Writable } from 'node:stream';
import * as ws from 'ws';

const { Receiver } = ws as unknown as { Receiver: new (options: { isServer: boolean }) => Writable };

/** The binary messages in a stream of client frames. @throws what the parser finds wrong */
export function binaryMessages(wire: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  let failure: Error | undefined;
  const receiver = new Receiver({ isServer: true });
  receiver.on('message', (data: Buffer, isBinary: boolean) => {
    if (!isBinary) throw new Error('a text message');
    messages.push(Buffer.from(data));
  });
  receiver.on('error', (error) => {
    failure = error;
  });
  receiver.write(wire);
  if (failure) throw failure;
  return messages;
}

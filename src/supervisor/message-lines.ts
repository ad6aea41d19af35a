import type { Socket } from 'node:net';

/**
 * The lines that come from a socket, each without its end. The socket is read no faster than lines are taken, and is left
 * as it is when no more are: what was written to it may not have gone yet.
 *
 * @param limit characters of one line; a longer one ends the reading with a RangeError
 */
export async function* messageLines(socket: Socket, limit: number): AsyncGenerator<string, void, undefined> {
  socket.setEncoding('utf8');
  let rest = '';
  for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    if (rest.length > limit || lines.some((line) => line.length > limit)) {
      throw new RangeError(`a line has more than ${limit} characters`);
    }
    yield* lines;
  }
}

import type { Socket } from 'node:net';
import { CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import type { Clock } from '../runtime/clock.ts';
import { AnyReader } from './core/any-request.ts';
import type { ClientRequest } from './core/client-request.ts';

/** From connecting to a whole request. Guessed: programs say it at once, and whoever says half of it holds a socket. */
const REQUEST_LIMIT: Millis = 10_000;
/** What the client still sends after it was refused is swallowed for this long, since a reset could cost it the answer. */
const LINGER: Millis = 2_000;

/**
 * Reads what a client wants, answering on the way what its protocol asks for. What it said beyond that is left in the socket. The client
 * must have no other reader meanwhile.
 *
 * @throws CT_TIMEOUT when it does not say it in 10 s; CT_INTERRUPTED when it leaves before; the reason of `signal`
 */
export function readRequest(socket: Socket, clock: Clock, signal: AbortSignal): Promise<ClientRequest> {
  const reader = new AnyReader();
  return new Promise((resolve, reject) => {
    const stop = () => {
      timer.cancel();
      socket.off('readable', look);
      socket.off('end', onLeft);
      socket.off('close', onLeft);
      signal.removeEventListener('abort', onAbort);
    };
    const fail = (error: unknown) => {
      stop();
      reject(error);
    };
    const onLeft = () => fail(new CloudtunError('CT_INTERRUPTED', 'the client left before it said what it wants'));
    const onAbort = () => fail(signal.reason);
    const look = () => {
      for (;;) {
        const bytes = socket.read() as Buffer | null;
        if (bytes === null) return;
        const { say, request, rest } = reader.receive(bytes);
        if (say && socket.writable) socket.write(say);
        if (!request) continue;
        stop();
        if (rest && rest.length > 0) socket.unshift(rest);
        resolve(request);
        return;
      }
    };
    const timer = clock.after(
      REQUEST_LIMIT,
      () => fail(new CloudtunError('CT_TIMEOUT', 'the client did not say what it wants')),
      { background: true },
    );
    socket.on('readable', look);
    socket.on('end', onLeft);
    socket.on('close', onLeft);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    else if (socket.destroyed || socket.readableEnded) onLeft();
    else look();
  });
}

/** Says the last thing there is to say to a client and waits until it is gone, 2 s at most. The socket is closed then. Never rejects. */
export function sayLast(socket: Socket, answer: Buffer, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      timer.cancel();
      resolve();
    };
    const timer = clock.after(LINGER, () => socket.destroy(), { background: true });
    socket.once('close', done);
    if (socket.destroyed) done();
    else {
      socket.end(answer);
      socket.resume();
    }
  });
}

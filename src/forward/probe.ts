import type { Duplex } from 'node:stream';
import type { TunnelStream } from '../domain/dialer.ts';
import { formatEndpoint } from '../domain/endpoint.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import type { World } from '../runtime/world.ts';
import { type MysqlGreeting, MysqlGreetingReader } from './core/mysql-greeting.ts';
import { PostgresAnswerReader, SSL_REQUEST } from './core/postgres-probe.ts';
import type { ProbeSubject, Readiness } from './forward-types.ts';
import { KeptStream } from './kept-stream.ts';
import { ProbedStream } from './probed-stream.ts';

/** How long an engine that speaks first, or answers at once, may take. Guessed: a slow name look-up on the server fits into it. */
const ANSWER_LIMIT: Millis = 10_000;
/** Specified (spec section 5.8). */
const SILENT_FOR: Millis = 500;

/**
 * A far side that was found to be there, and the stream that found it: kept for 8 s for the first client, so that the far side
 * sees one connection with a client on it and not a stranger who greets and hangs up (spec section 5.7).
 */
export interface ProbedFarSide {
  readonly readiness: Readiness;
  /**
   * Hands the kept stream, its greeting put back, to a client; the caller owns it from then on. Undefined when nothing is kept any
   * more, when another client was faster, or when this client opens in a way that does not fit what was already said on the kept
   * stream: then dial a fresh one. May read from `client` to see how it opens; what it read is put back. So `client` must not be
   * flowing yet and have no reader. Never rejects; settles at the latest 8 s after the probe.
   */
  takeOver(client: Duplex): Promise<TunnelStream | undefined>;
  /**
   * Ends a kept stream nobody took, in the way that does not count against this machine at the far side. Idempotent; at most 3 s;
   * also after `takeOver`, when it does nothing. Await it before the tunnel is closed. Never rejects.
   */
  release(): Promise<void>;
}

/**
 * Finds out whether the far side answers (spec sections 5.2, 5.7 and 5.8): one stream, never two.
 *
 * What harm is left: an sshd of 9.8 or newer notes a connection without sign-in (`PerSourcePenalties noauth`, 1 s; it acts at 15 s),
 * and a MySQL counts one broken connection when the probe is cut between its connect and its greeting, by Ctrl-C for example.
 *
 * @param open one stream to the endpoint, such as `(signal) => tunnel.open(signal)`
 * @throws CT_REMOTE_SILENT when an engine that should greet says nothing for 10 s; CT_REMOTE_UNEXPECTED when it greets in another
 *   protocol; CT_DATABASE_REFUSED with the server's own words; what `open` and the stream fail with (CT_REMOTE_REFUSED …) as it is;
 *   the reason of `signal`
 */
export async function probe(
  open: (signal: AbortSignal) => Promise<TunnelStream>,
  subject: ProbeSubject,
  world: World,
  signal: AbortSignal,
): Promise<ProbedFarSide> {
  const where = subject.to ? formatEndpoint(subject.to) : 'the far side';
  const probed = new ProbedStream(await open(signal));
  const look = { probed, where, world, signal };
  try {
    switch (subject.engine) {
      case 'mysql':
      case 'mariadb': {
        const greeting = await mysqlAnswer(look);
        return new KeptStream(probed, { kind: 'ready', greeting: greeting.label }, undefined, world);
      }
      case 'postgres': {
        const answer = await postgresAnswer(look);
        return new KeptStream(probed, { kind: 'ready', greeting: answer.label }, 'postgres', world);
      }
      default:
        return new KeptStream(probed, await silentAnswer(look), undefined, world);
    }
  } catch (failure) {
    probed.destroy();
    throw failure;
  }
}

/** What every way of looking needs. */
interface Look {
  readonly probed: ProbedStream;
  readonly where: string;
  readonly world: World;
  readonly signal: AbortSignal;
}

function mysqlAnswer(look: Look): Promise<MysqlGreeting> {
  const reader = new MysqlGreetingReader(look.where);
  return settled(look, 'sent no greeting', ({ resolve, reject }) => {
    look.probed.onBytes = (bytes) => {
      const greeting = reader.receive(bytes);
      if (greeting) resolve(greeting);
    };
    look.probed.onEnd = (error) => reject(error ?? closedAtOnce(look.where));
  });
}

function postgresAnswer(look: Look): Promise<{ readonly label: string }> {
  const reader = new PostgresAnswerReader(look.where);
  return settled(look, 'did not answer', ({ resolve, reject }) => {
    look.probed.onBytes = (bytes) => {
      const answer = reader.receive(bytes);
      if (answer) resolve(answer);
    };
    look.probed.onEnd = (error) => reject(error ?? reader.ended() ?? closedAtOnce(look.where));
    look.probed.write(SSL_REQUEST);
  });
}

/**
 * Of an engine that waits for its client, or an unknown one: a word of it, or a far connection that stands, is `ready`; a request that
 * was taken and not refused for 500 ms is `open`.
 */
function silentAnswer(look: Look): Promise<Readiness> {
  const { probed, world } = look;
  const reader = new MysqlGreetingReader(look.where);
  return settled(look, 'did not take the connection', ({ resolve, reject, defer }) => {
    probed.onEnd = (error) => reject(error ?? closedAtOnce(look.where));
    probed.onBytes = (bytes) => {
      resolve({ kind: 'ready', ...labelOf(reader, bytes) });
    };
    const waitInSilence = () => {
      const timer = world.clock.after(SILENT_FOR, () => resolve({ kind: 'open' }));
      defer(() => timer.cancel());
    };
    // A rejection comes as the stream's end as well, with the error that matters.
    probed.accepted.then(
      (how) => {
        if (how === 'connected') resolve({ kind: 'ready' });
        else waitInSilence();
      },
      () => {},
    );
  });
}

/** An unknown engine may turn out to be a MySQL. If it is none, or its greeting is not whole yet, there is nothing to say of it. */
function labelOf(reader: MysqlGreetingReader, bytes: Buffer): { readonly greeting?: string } {
  try {
    const greeting = reader.receive(bytes);
    return greeting ? { greeting: greeting.label } : {};
  } catch {
    return {};
  }
}

function closedAtOnce(where: string): CloudtunError {
  return new CloudtunError('CT_REMOTE_REFUSED', `${where} took the connection and closed it without a word`, {
    hint: 'check that the service behind the port is running and admits connections from there',
  });
}

interface Settler<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (reason: unknown) => void;
  /** Runs when the promise is settled, either way. */
  readonly defer: (cleanUp: () => void) => void;
}

/** A promise over the callbacks of the stream, with the time limit and the signal of every look; a callback's throw rejects it. */
async function settled<T>(look: Look, silence: string, listen: (settler: Settler<T>) => void): Promise<T> {
  const { probed, where, world, signal } = look;
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const cleanUps: (() => void)[] = [];
  const limit = world.clock.after(ANSWER_LIMIT, () =>
    reject(
      new CloudtunError('CT_REMOTE_SILENT', `${where} ${silence} within ${ANSWER_LIMIT / 1_000} s`, {
        hint: 'check that the firewall or security group of the far side admits who comes from there, and that a server listens',
      }),
    ),
  );
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    signal.throwIfAborted();
    listen({ resolve, reject, defer: (cleanUp) => cleanUps.push(cleanUp) });
    const { onBytes } = probed;
    probed.onBytes = (bytes) => {
      try {
        onBytes(bytes);
      } catch (failure) {
        reject(failure);
      }
    };
    return await promise;
  } finally {
    limit.cancel();
    signal.removeEventListener('abort', onAbort);
    for (const cleanUp of cleanUps) cleanUp();
  }
}

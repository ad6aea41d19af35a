import type { Duplex } from 'node:stream';
import type { TunnelStream } from '../domain/dialer.ts';
import type { Millis } from '../domain/millis.ts';
import type { World } from '../runtime/world.ts';
import { clientOpening } from './client-opening.ts';
import { MysqlGoodbye } from './core/mysql-goodbye.ts';
import { type MysqlGreeting, MysqlGreetingReader } from './core/mysql-greeting.ts';
import { opensWithSslRequest, SSL_REQUEST } from './core/postgres-probe.ts';
import type { Readiness } from './forward-types.ts';
import type { ProbedFarSide } from './probe.ts';
import type { ProbedStream } from './probed-stream.ts';

/** Specified (spec section 5.7). Below the 10 s after which MySQL gives a client up that does not answer its greeting. */
const KEEP_FOR: Millis = 8_000;
/** How long a farewell may take: a few round trips of a slow tunnel. Guessed. */
const FAREWELL_LIMIT: Millis = 3_000;

/** The stream of a probe, kept for the first client: see `ProbedFarSide`. */
export class KeptStream implements ProbedFarSide {
  readonly readiness: Readiness;
  readonly #isPostgres: boolean;
  readonly #world: World;
  #probed: ProbedStream | undefined;
  #isAsking = false;
  /** Aborts when the stream is no longer kept: whoever waits for a client's first bytes stops waiting. */
  readonly #gone = new AbortController();
  #released: Promise<void> | undefined;

  /** @param protocol `postgres` when SSLRequest was sent on the stream: only a client that opens so fits it */
  constructor(probed: ProbedStream, readiness: Readiness, protocol: 'postgres' | undefined, world: World) {
    this.readiness = readiness;
    this.#isPostgres = protocol === 'postgres';
    this.#world = world;
    this.#probed = probed;
    const timer = world.clock.after(KEEP_FOR, () => void this.release(), { background: true });
    this.#gone.signal.addEventListener('abort', () => timer.cancel(), { once: true });
    probed.onBytes = () => {};
    probed.onEnd = () => this.#drop('the far side closed it');
    if (probed.isOver) this.#drop('the far side closed it');
  }

  async takeOver(client: Duplex): Promise<TunnelStream | undefined> {
    if (!this.#probed || this.#isAsking || client.destroyed) return undefined;
    if (this.#isPostgres && !(await this.#asksTheSame(client))) return undefined;
    const probed = this.#letGo();
    if (!probed) return undefined;
    if (this.#isPostgres) client.read(SSL_REQUEST.length);
    this.#world.log.debug('probe: its stream goes to the first client');
    return probed.detach();
  }

  release(): Promise<void> {
    this.#released ??= this.#sayGoodbye();
    return this.#released;
  }

  async #asksTheSame(client: Duplex): Promise<boolean> {
    this.#isAsking = true;
    const opening = await clientOpening(client, SSL_REQUEST.length, this.#gone.signal);
    this.#isAsking = false;
    if (opening && opensWithSslRequest(opening)) return true;
    // A client that opens otherwise will not be followed by one that fits within the few seconds left: no use in waiting.
    if (opening) this.#drop('the first client opens otherwise');
    return false;
  }

  async #sayGoodbye(): Promise<void> {
    const probed = this.#letGo();
    if (!probed) return;
    const greeting = this.#isPostgres ? undefined : mysqlGreeting(probed.seen);
    if (greeting) await sayMysqlGoodbye(probed, greeting, this.#world);
    probed.destroy();
    this.#world.log.debug('probe: its stream is closed, no client came');
  }

  #drop(because: string): void {
    this.#letGo()?.destroy();
    this.#world.log.debug(`probe: its stream is dropped: ${because}`);
  }

  /** Ends the keeping; the stream to whoever ends it first, undefined to others. */
  #letGo(): ProbedStream | undefined {
    const probed = this.#probed;
    this.#probed = undefined;
    this.#gone.abort();
    return probed;
  }
}

/**
 * The greeting, if what was seen is one. Asked of every kept stream, not only of those to a known MySQL: a forward to a host and
 * port knows no engine, and its probe must not count as a broken connection either.
 */
function mysqlGreeting(seen: Buffer): MysqlGreeting | undefined {
  try {
    return new MysqlGreetingReader('').receive(seen);
  } catch {
    return undefined;
  }
}

function sayMysqlGoodbye(probed: ProbedStream, greeting: MysqlGreeting, world: World): Promise<void> {
  return new Promise((resolve) => {
    const goodbye = new MysqlGoodbye(greeting);
    const limit = world.clock.after(FAREWELL_LIMIT, () => settle());
    const settle = () => {
      limit.cancel();
      probed.onBytes = () => {};
      resolve();
    };
    probed.onEnd = settle;
    probed.onBytes = (bytes) => {
      try {
        const step = goodbye.receive(bytes);
        for (const answer of step.send) probed.write(answer);
        if (step.done) settle();
      } catch {
        // A server that breaks its own protocol in its last word is not worth an error to anybody.
        settle();
      }
    };
    probed.write(goodbye.start());
  });
}

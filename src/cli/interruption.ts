import { ENDING_SIGNALS, type EndingSignal, exitCodeOfSignal } from './exit-codes.ts';

/** The reason of an abort that is not an error to print, only an exit code: a signal, or a reader of stdout that went away. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }

  static by(signal: EndingSignal): Interrupted {
    return new Interrupted(`interrupted by ${signal}`, exitCodeOfSignal(signal));
  }
}

/** Something that can end in order: an open forward. */
export interface Drainable {
  drain(): void;
  cut(): void;
}

/** The part of `process` that is listened to. */
export interface SignalSource {
  on(name: EndingSignal, listener: (name: EndingSignal) => void): unknown;
  off(name: EndingSignal, listener: (name: EndingSignal) => void): unknown;
}

/**
 * What a command does about SIGINT, SIGTERM and SIGHUP (spec sections 2 and 5.9): while something drainable is open, the first
 * drains it and the second cuts it; otherwise the first aborts `signal`. One more, when that did not end the command, exits at once.
 * Whoever closes the terminal by accident (SIGHUP) gets the same order.
 */
export class Interruption implements Disposable {
  readonly #source: SignalSource;
  readonly #exit: (code: number) => void;
  readonly #abort = new AbortController();
  readonly #listener = (name: EndingSignal) => this.#receive(name);
  #drainable: Drainable | undefined;
  #relay: ((name: EndingSignal) => void) | undefined;
  #isDraining = false;
  #first: Interrupted | undefined;
  #signalCount = 0;

  constructor(source: SignalSource, exit: (code: number) => void) {
    this.#source = source;
    this.#exit = exit;
    for (const name of ENDING_SIGNALS) source.on(name, this.#listener);
  }

  /** For everything that waits: aborted with `Interrupted`, or with the reason given to `abort`. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The exit code that the first signal asked for; undefined while none came. */
  get exitCode(): number | undefined {
    return this.#first?.exitCode;
  }

  /** From now on, until the result is disposed, a signal drains this instead of aborting. */
  drainFirst(drainable: Drainable): Disposable {
    this.#drainable = drainable;
    return {
      [Symbol.dispose]: () => {
        if (this.#drainable === drainable) this.#drainable = undefined;
      },
    };
  }

  /** From now on SIGHUP is no end: where nobody closes a terminal, it asks for the configuration to be read again. */
  reloadOnHangup(reload: () => void): void {
    this.#source.off('SIGHUP', this.#listener);
    this.#source.on('SIGHUP', reload);
  }

  /** From now on, until the result is disposed, signals are this listener's alone, however many come: another program decides what they mean. */
  relayTo(listener: (name: EndingSignal) => void): Disposable {
    this.#relay = listener;
    return {
      [Symbol.dispose]: () => {
        if (this.#relay === listener) this.#relay = undefined;
      },
    };
  }

  /** Ends the command as a signal would, for another reason (a defect, a closed stdout). */
  end(reason: unknown, how: 'drain' | 'cut'): void {
    if (!this.#drainable) this.#abort.abort(reason);
    else if (how === 'drain' && !this.#isDraining) this.#drain(this.#drainable);
    else this.#drainable.cut();
  }

  [Symbol.dispose](): void {
    for (const name of ENDING_SIGNALS) this.#source.off(name, this.#listener);
  }

  #receive(name: EndingSignal): void {
    if (this.#relay) {
      this.#relay(name);
      return;
    }
    this.#first ??= Interrupted.by(name);
    this.#signalCount++;
    if (this.#signalCount > (this.#drainable ? 2 : 1)) this.#exit(this.#first.exitCode);
    else this.end(this.#first, this.#signalCount === 1 ? 'drain' : 'cut');
  }

  #drain(drainable: Drainable): void {
    this.#isDraining = true;
    drainable.drain();
  }
}

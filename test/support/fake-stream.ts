import { Duplex } from 'node:stream';
import type { TunnelStream } from '../../src/domain/dialer.ts';

/** A stream of a tunnel whose far side is the test: it takes what is written, at once or when told, and says what it is told to. */
export class FakeStream extends Duplex implements TunnelStream {
  readonly accepted: TunnelStream['accepted'];
  readonly written: Buffer[] = [];
  /** What the near side did with its writable half. */
  isEndedByNearSide = false;
  #isHolding = false;
  #isEchoing = false;
  readonly #held: (() => void)[] = [];

  constructor(accepted: 'acknowledged' | 'connected' = 'acknowledged') {
    super({ allowHalfOpen: true });
    this.accepted = Promise.resolve(accepted);
  }

  /** From now on nothing more is taken until `takeAll` is called. */
  hold(): this {
    this.#isHolding = true;
    return this;
  }

  takeAll(): void {
    this.#isHolding = false;
    for (const taken of this.#held.splice(0)) taken();
  }

  /** Sends everything back, and the end too. */
  echo(): this {
    this.#isEchoing = true;
    return this;
  }

  get text(): string {
    return Buffer.concat(this.written).toString();
  }

  /** The far side says something. */
  say(data: string | Buffer): void {
    this.push(data);
  }

  /** The far side has said everything. */
  sayEnd(): void {
    this.push(null);
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, taken: () => void): void {
    this.written.push(chunk);
    if (this.#isEchoing) this.push(chunk);
    if (this.#isHolding) this.#held.push(taken);
    else taken();
  }

  override _final(done: () => void): void {
    this.isEndedByNearSide = true;
    if (this.#isEchoing) this.push(null);
    done();
  }
}

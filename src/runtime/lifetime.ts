/**
 * Things to close, in reverse order of opening. Node 22 has no AsyncDisposableStack, so this is ours: disposing is idempotent,
 * goes on after a failure, and throws the first failure at the end.
 */
export class Lifetime implements AsyncDisposable {
  readonly #closers: (() => void | Promise<void>)[] = [];
  #closing: Promise<void> | undefined;

  /** Registers a resource; closes it when this lifetime is disposed. Returns the resource. */
  use<T extends AsyncDisposable>(resource: T): T {
    this.defer(() => resource[Symbol.asyncDispose]() as Promise<void>);
    return resource;
  }

  defer(close: () => void | Promise<void>): void {
    this.#closers.push(close);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    const failures: unknown[] = [];
    for (let close = this.#closers.pop(); close; close = this.#closers.pop()) {
      try {
        await close();
      } catch (failure) {
        failures.push(failure);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}

/**
 * MySQL's host cache, the part that harms: connections that break off before the handshake is done are counted per address, and at
 * `maxConnectErrors` the address is blocked for everybody who comes from it. A refused sign-in is not counted. A sign-in that works
 * starts the count again; an address that is blocked cannot sign in, so only FLUSH HOSTS from another one frees it.
 */
export class HostErrors {
  readonly #maxConnectErrors: number;
  readonly #errors = new Map<string, number>();

  constructor(maxConnectErrors: number) {
    this.#maxConnectErrors = maxConnectErrors;
  }

  isBlocked(address: string): boolean {
    return (this.#errors.get(address) ?? 0) >= this.#maxConnectErrors;
  }

  /** A connection from there broke off, or spoke nonsense, before its handshake was done. */
  brokenHandshake(address: string): void {
    this.#errors.set(address, (this.#errors.get(address) ?? 0) + 1);
  }

  signedIn(address: string): void {
    this.#errors.delete(address);
  }

  flush(): void {
    this.#errors.clear();
  }

  /** Errors counted now, by address. */
  counts(): ReadonlyMap<string, number> {
    return new Map(this.#errors);
  }
}

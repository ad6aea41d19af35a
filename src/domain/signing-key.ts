/** A key pair in a cloud's key service: the private half never leaves it. */
export interface CloudSigningKey {
  /** The public half, SPKI in DER form. */
  readonly publicKey: Uint8Array;
  /**
   * ECDSA, in DER form.
   *
   * @param digest SHA-256 of what is signed
   * @throws CT_DENIED, CT_NETWORK, CT_THROTTLED …
   */
  sign(digest: Uint8Array, signal: AbortSignal): Promise<Uint8Array>;
}

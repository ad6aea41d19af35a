import { randomBytes, randomUUID } from 'node:crypto';

export interface Random {
  bytes(byteCount: number): Buffer;
  uuid(): string;
  /** In [0, 1): for jitter, never for secrets. */
  fraction(): number;
}

export const systemRandom: Random = {
  bytes: (byteCount) => randomBytes(byteCount),
  uuid: () => randomUUID(),
  fraction: () => Math.random(),
};

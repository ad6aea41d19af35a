import { type Duplex, duplexPair } from 'node:stream';
import type { TunnelStream } from '../../src/domain/dialer.ts';

/** A stream of a tunnel and its other end, in memory. `accept` settles `stream.accepted`. */
export interface FarSide {
  readonly stream: TunnelStream;
  readonly far: Duplex;
  readonly accept: (how: 'acknowledged' | 'connected' | 'answered') => void;
  /** Everything the far side has received so far. */
  readonly received: () => Buffer;
}

export function farSide(): FarSide {
  const [near, far] = duplexPair();
  const { promise, resolve } = Promise.withResolvers<'acknowledged' | 'connected' | 'answered'>();
  const chunks: Buffer[] = [];
  far.on('data', (bytes: Buffer) => chunks.push(bytes));
  far.on('error', () => {});
  return {
    stream: Object.assign(near, { accepted: promise }),
    far,
    accept: resolve,
    received: () => Buffer.concat(chunks),
  };
}

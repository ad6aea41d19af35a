import { CloudtunError } from '../../domain/errors.ts';
import type { ReaderStep, RequestReader } from './client-request.ts';
import { HttpReader } from './http-connect.ts';
import { Socks4Reader } from './socks4.ts';
import { Socks5Reader } from './socks5.ts';

/** One port for all three: the first byte tells them apart, since an HTTP method is made of capital letters. */
export class AnyReader implements RequestReader {
  #reader: RequestReader | undefined;

  receive(bytes: Buffer): ReaderStep {
    const [first] = bytes;
    if (first === undefined) return {};
    this.#reader ??= readerFor(first);
    if (this.#reader) return this.#reader.receive(bytes);
    const error = new CloudtunError('CT_USAGE', 'neither SOCKS nor an HTTP request');
    return { request: { kind: 'bad', error, answer: Buffer.alloc(0) } };
  }
}

function readerFor(first: number): RequestReader | undefined {
  if (first === 5) return new Socks5Reader();
  if (first === 4) return new Socks4Reader();
  return first >= 0x41 && first <= 0x5a ? new HttpReader() : undefined;
}

// Node's fast latin1 paths exist and are documented by use only; @types/node does not list them.
declare global {
  interface Buffer {
    latin1Slice(start?: number, end?: number): string;
    latin1Write(text: string, offset?: number, length?: number): number;
    hexSlice(start?: number, end?: number): string;
  }
}

declare module 'node:crypto' {
  // One output character per digest byte: writing it with latin1Write avoids a Buffer per message.
  function hash(algorithm: string, data: NodeJS.ArrayBufferView | string, outputEncoding: 'latin1'): string;
}

export {};

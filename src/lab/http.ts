import type { IncomingMessage } from 'node:http';

/** What a server of the lab answers. */
export interface HttpAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
  /** Called when the answer is on its way or the caller is gone. */
  readonly afterwards?: () => void;
}

/** The whole body; undefined when it is longer than `limit`, with the rest left unread. */
export async function readBody(request: IncomingMessage, limit: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  // Not destroyed on return: the refusal must still reach the caller.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > limit) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

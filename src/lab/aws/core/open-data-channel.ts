/** The first text frame of a data channel (docs/protocol/ssm.md, "Opening"). ClientId and ClientVersion may be missing. */

export interface OpenDataChannel {
  readonly requestId: string;
  readonly tokenValue: string;
  readonly clientId: string | undefined;
}

/** The fields, or what is wrong. */
export function readOpenDataChannel(text: string): OpenDataChannel | string {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    return 'the text frame is not JSON';
  }
  if (typeof content !== 'object' || content === null) return 'the text frame is not an object';
  const fields = content as Record<string, unknown>;
  if (fields.MessageSchemaVersion !== '1.0') return 'the text frame has another MessageSchemaVersion than 1.0';
  if (typeof fields.RequestId !== 'string' || !isUuid(fields.RequestId)) return 'the text frame has no RequestId';
  if (typeof fields.TokenValue !== 'string') return 'the text frame has no TokenValue';
  const clientId = typeof fields.ClientId === 'string' ? fields.ClientId : undefined;
  return { requestId: fields.RequestId, tokenValue: fields.TokenValue, clientId };
}

function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text);
}

/** The first text frame on a data channel (docs/protocol/ssm.md, "Opening"). Field order as the official client prints it. */
export function openDataChannelText(fields: {
  requestId: string;
  token: string;
  clientId: string;
  clientVersion: string;
}): string {
  return JSON.stringify({
    MessageSchemaVersion: '1.0',
    RequestId: fields.requestId,
    TokenValue: fields.token,
    ClientId: fields.clientId,
    ClientVersion: fields.clientVersion,
  });
}

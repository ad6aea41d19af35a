/** `channel_closed`, the only true end of a session (docs/protocol/ssm.md, "channel_closed"): the service makes it. */

/** Longest text of the service that is shown to a person. */
const MAX_OUTPUT_CHARACTERS = 1_000;

/** Its reason; empty for a normal end, or where the payload is not what is known of it. Control characters are taken out. */
export function channelClosedReason(payload: Buffer): string {
  let content: unknown;
  try {
    content = JSON.parse(payload.toString('utf8'));
  } catch {
    return '';
  }
  if (typeof content !== 'object' || content === null || !('Output' in content) || typeof content.Output !== 'string')
    return '';
  // A hostile peer must not write to the terminal: control characters go.
  return content.Output.slice(0, MAX_OUTPUT_CHARACTERS)
    .replace(/\p{Cc}+/gu, ' ')
    .trim();
}

/** What the agent's words say about the cause. Only these texts exist for it; there is no code. */
export function classifyChannelClosed(
  reason: string,
): 'ended' | 'forbidden' | 'refused' | 'unknown-name' | 'handshake-timeout' {
  if (/^Forwarding to IP address .* is forbidden/.test(reason)) return 'forbidden';
  if (/\blookup \S+.*: (no such host|server misbehaving|i\/o timeout)|Unable to resolve host/.test(reason))
    return 'unknown-name';
  if (reason.includes('Unable to connect to specified port')) return 'refused';
  if (/Handshake timed out|Timed out waiting for encryption challenge/.test(reason)) return 'handshake-timeout';
  return 'ended';
}

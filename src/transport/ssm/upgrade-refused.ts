import type { IncomingHttpHeaders } from 'node:http';
import { CloudtunError, type ErrorDetail } from '../../domain/errors.ts';
import { upgradeRefused as refused } from '../ws/connect-errors.ts';

/**
 * A status instead of 101, as the message gateway of Session Manager means it. A 403 with a request id is the gateway's own, which
 * asked IAM (docs/protocol/ssm.md, "Signed upgrade"); one without may be a proxy's.
 *
 * @param sessionId of the session whose data channel was to be opened
 */
export function upgradeRefused(
  host: string,
  status: number,
  headers: IncomingHttpHeaders,
  sessionId: string,
): CloudtunError {
  const plain = refused(host, status);
  if (plain.code !== 'CT_UPGRADE_REFUSED') return plain;
  const requestId = headers['x-amzn-requestid'];
  const request: readonly ErrorDetail[] = typeof requestId === 'string' ? [['request', requestId]] : [];
  if (status === 403 && request.length > 0) {
    return new CloudtunError('CT_DENIED', `this identity may not open the data channel of session ${sessionId}`, {
      details: [['missing', `ssmmessages:OpenDataChannel on session/${sessionId}`], ...request],
      hint: 'ask who runs the account for this permission, or choose another identity with --profile',
    });
  }
  return new CloudtunError(plain.code, plain.message, {
    details: request,
    hint:
      status === 403
        ? 'a proxy on the way may refuse websockets, or the identity lacks ssmmessages:OpenDataChannel'
        : plain.hints,
  });
}

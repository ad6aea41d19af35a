import type { IncomingHttpHeaders } from 'node:http';
import { CloudtunError } from '../../domain/errors.ts';
import { upgradeRefused as refused } from '../ws/connect-errors.ts';

/** A status instead of 101, as the message gateway of Session Manager means it. */
export function upgradeRefused(host: string, status: number, headers: IncomingHttpHeaders): CloudtunError {
  const plain = refused(host, status);
  if (plain.code !== 'CT_UPGRADE_REFUSED') return plain;
  const requestId = headers['x-amzn-requestid'];
  return new CloudtunError(plain.code, plain.message, {
    ...(typeof requestId === 'string' ? { details: [['request', requestId]] } : {}),
    hint:
      status === 403
        ? 'the identity may lack ssmmessages:OpenDataChannel, or a proxy on the way refuses websockets'
        : plain.hints,
  });
}

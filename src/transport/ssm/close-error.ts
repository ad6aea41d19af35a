import { formatEndpoint, type RemoteEndpoint } from '../../domain/endpoint.ts';
import { CloudtunError } from '../../domain/errors.ts';
import { classifyChannelClosed } from './core/channel-closed.ts';

/** Why the service closed a session that was to lead to `to`, by the reason that it gave; empty where it gave none. */
export function closeError(reason: string, to: RemoteEndpoint): CloudtunError {
  const where = formatEndpoint(to);
  const details: [string, string][] = reason ? [['agent', reason]] : [];
  switch (classifyChannelClosed(reason)) {
    case 'forbidden':
      return new CloudtunError('CT_REMOTE_FORBIDDEN', `the agent does not forward to ${where}`, {
        details,
        hint: 'metadata, DNS and loopback addresses are closed by the agent; name the service by its private address',
      });
    case 'refused':
      return new CloudtunError('CT_REMOTE_REFUSED', `the far machine could not connect to ${where}`, {
        details,
        hint: 'check that the service runs and that its firewall or security group admits the far machine',
      });
    case 'unknown-name':
      return new CloudtunError('CT_REMOTE_REFUSED', `the far machine cannot resolve the name in ${where}`, {
        details,
        hint: 'names are looked up on the far machine: check the spelling, and its DNS',
      });
    case 'handshake-timeout':
      return new CloudtunError('CT_TIMEOUT', 'the session was not begun in time', { details, hint: 'try again' });
    case 'ended':
      return new CloudtunError(
        'CT_SESSION_ENDED',
        reason ? `the cloud ended the session: ${reason}` : 'the cloud ended the session',
        {
          hint: 'its idle time-out or maximum duration may be over, or somebody terminated it',
        },
      );
  }
}

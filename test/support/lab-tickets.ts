/** Tickets of a lab's Session Manager, by the SDK's client alone: for tests and benches of transport, without a provider. */
import {
  ResumeSessionCommand,
  SSMClient,
  type SSMClientConfig,
  StartSessionCommand,
  TerminateSessionCommand,
} from '@aws-sdk/client-ssm';
import { CloudtunError } from '../../src/domain/errors.ts';
import { Secret } from '../../src/domain/secret.ts';
import type { SsmSessionTicket, TicketSource } from '../../src/domain/ticket.ts';

export function labTickets(
  config: SSMClientConfig,
  targetId: string,
): TicketSource<SsmSessionTicket> & { readonly client: SSMClient } {
  const client = new SSMClient(config);
  return {
    kind: 'ssm-session',
    client,
    async issue(to, signal) {
      const answer = await client.send(
        new StartSessionCommand({
          Target: targetId,
          DocumentName: to.host ? 'AWS-StartPortForwardingSessionToRemoteHost' : 'AWS-StartPortForwardingSession',
          Parameters: {
            portNumber: [String(to.port)],
            localPortNumber: ['0'],
            ...(to.host ? { host: [to.host] } : {}),
          },
        }),
        { abortSignal: signal },
      );
      return {
        kind: 'ssm-session',
        sessionId: answer.SessionId!,
        streamUrl: answer.StreamUrl!,
        token: new Secret(answer.TokenValue!),
        targetId,
        to,
      };
    },
    async renew(ticket, signal) {
      try {
        const answer = await client.send(new ResumeSessionCommand({ SessionId: ticket.sessionId }), {
          abortSignal: signal,
        });
        return answer.TokenValue ? { ...ticket, token: new Secret(answer.TokenValue) } : undefined;
      } catch (cause) {
        if (cause instanceof Error && cause.name === 'DoesNotExistException') return undefined;
        throw new CloudtunError('CT_NETWORK', 'the lab did not resume a session', { cause });
      }
    },
    async release(ticket) {
      await client.send(new TerminateSessionCommand({ SessionId: ticket.sessionId })).catch((cause: unknown) => {
        if (!(cause instanceof Error && cause.name === 'DoesNotExistException')) throw cause;
      });
    },
  };
}

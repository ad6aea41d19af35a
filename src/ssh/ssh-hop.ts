import type ssh2 from 'ssh2';
import type { Dialer, TunnelStream } from '../domain/dialer.ts';
import type { RemoteEndpoint } from '../domain/endpoint.ts';
import { unlessAborted } from '../runtime/deadline.ts';
import { ChannelStream } from './channel-stream.ts';
import type { SshConnection } from './ssh-connection.ts';
import { channelRefused, connectionLost } from './ssh-errors.ts';

/** The machine itself, as its own sshd sees it. */
const ITSELF = '127.0.0.1';

/**
 * A Dialer over a login: the target's sshd connects to each endpoint (`direct-tcpip`, RFC 4254, section 7.2). Many streams share the
 * one connection, each with a window of its own. Disposing it closes the connection.
 *
 * `dial` throws CT_FORWARD_PROHIBITED, CT_REMOTE_REFUSED, CT_TUNNEL_LOST once the connection is gone, and the reason of its signal.
 */
export function sshHop(connection: SshConnection): Dialer {
  return {
    dial: (to, signal) => dialThrough(connection, to, signal),
    [Symbol.asyncDispose]: () => connection[Symbol.asyncDispose](),
  };
}

async function dialThrough(connection: SshConnection, to: RemoteEndpoint, signal: AbortSignal): Promise<TunnelStream> {
  signal.throwIfAborted();
  // ssh2 calls back with an error also when the connection breaks meanwhile.
  const opening = new Promise<ChannelStream>((resolve, reject) => {
    if (connection.failure) return reject(connection.failure);
    const take = (error: Error | undefined, channel: ssh2.ClientChannel) => {
      if (error) reject(connection.failure ?? channelRefused(connection.server.label, to, error));
      else resolve(new ChannelStream(channel, connection));
    };
    // The origin is for the server's log; RFC 4254 wants an address, and a listener of ours may have none.
    try {
      connection.client.forwardOut(ITSELF, 0, to.host ?? ITSELF, to.port, take);
    } catch (error) {
      // It throws where its stream takes nothing any more, which may be before that stream's end is told.
      reject(connection.failure ?? connectionLost(connection.server, error));
    }
  });
  try {
    return await unlessAborted(opening, signal);
  } catch (error) {
    // A stream that comes too late belongs to nobody.
    opening.then(
      (stream) => stream.destroy(),
      () => {},
    );
    throw error;
  }
}

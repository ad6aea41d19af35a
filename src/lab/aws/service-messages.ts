/** The messages that the service makes itself, in their short form (docs/protocol/ssm.md, "The short form made by the service"). */
import type { World } from '../../runtime/world.ts';
import { encodeServiceMessage } from '../../transport/ssm/core/client-message.ts';
import type { MessageType } from '../../transport/ssm/core/wire-format.ts';

/** start_publication and pause_publication carry this much; what it says is not known. */
const PUBLICATION_PAYLOAD_BYTES = 17;

type Source = Pick<World, 'clock' | 'random'>;

export function publicationMessage(messageType: 'start_publication' | 'pause_publication', world: Source): Buffer {
  return serviceMessage(messageType, Buffer.alloc(PUBLICATION_PAYLOAD_BYTES, ' '), world);
}

/** The end of a session. @param output empty: a normal end; otherwise the reason */
export function channelClosedMessage(sessionId: string, output: string, world: Source): Buffer {
  const payload = JSON.stringify({
    MessageId: world.random.uuid(),
    CreatedDate: new Date(world.clock.wall()).toISOString(),
    DestinationId: sessionId,
    SessionId: sessionId,
    MessageType: 'channel_closed',
    SchemaVersion: 1,
    Output: output,
  });
  return serviceMessage('channel_closed', Buffer.from(payload), world);
}

function serviceMessage(messageType: MessageType, payload: Buffer, { clock, random }: Source): Buffer {
  return encodeServiceMessage(messageType, BigInt(Math.floor(clock.wall())), random.uuid(), payload);
}

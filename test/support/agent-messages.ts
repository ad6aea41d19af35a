/** Messages as the agent and the service make them, for tests that play one of them. */
import { acknowledgeText } from '../../src/transport/ssm/core/acknowledge.ts';
import {
  encodeMessage,
  encodeServiceMessage,
  type MessageFields,
} from '../../src/transport/ssm/core/client-message.ts';
import { PAYLOAD_TYPE } from '../../src/transport/ssm/core/wire-format.ts';

const ID = '12345678-9abc-4def-8123-456789abcdef';

function message(messageType: string, fields: Partial<MessageFields> & { payload: Uint8Array }): Buffer {
  return encodeMessage({
    messageType,
    schemaVersion: 1,
    createdDate: 1_700_000_000_000n,
    sequenceNumber: 0n,
    flags: 0n,
    messageId: ID,
    payloadType: 0,
    ...fields,
  });
}

/** `output_stream_data` with a number; the text is its payload. */
export function outputMessage(
  number: number | bigint,
  payload: string | Uint8Array,
  payloadType: number = PAYLOAD_TYPE.output,
): Buffer {
  return message('output_stream_data', {
    sequenceNumber: BigInt(number),
    payloadType,
    payload: typeof payload === 'string' ? Buffer.from(payload) : payload,
  });
}

/** The agent's acknowledge of our message `number`. */
export function acknowledgeMessage(number: number): Buffer {
  return message('acknowledge', {
    flags: 3n,
    payload: Buffer.from(acknowledgeText('input_stream_data', outputMessage(0, 'x'), number)),
  });
}

export const serviceMessage = (
  messageType: 'start_publication' | 'pause_publication' | 'channel_closed',
  payload: string = messageType,
): Buffer => encodeServiceMessage(messageType, 1n, ID, Buffer.from(payload));

/** The handshake of a Port session. */
export function handshakeRequest(
  options: {
    readonly agentVersion?: string;
    readonly sessionType?: string;
    readonly properties?: Record<string, string>;
    readonly kmsKeyId?: string;
  } = {},
): string {
  const { agentVersion = '3.3.4121.0', sessionType = 'Port', kmsKeyId } = options;
  const Properties = options.properties ?? { type: 'LocalPortForwarding', portNumber: '80', localPortNumber: '0' };
  const kms = { ActionType: 'KMSEncryption', ActionParameters: { KMSKeyId: kmsKeyId } };
  return JSON.stringify({
    AgentVersion: agentVersion,
    RequestedClientActions: [
      { ActionType: 'SessionType', ActionParameters: { SessionType: sessionType, Properties } },
      ...(kmsKeyId === undefined ? [] : [kms]),
    ],
  });
}

export const HANDSHAKE_COMPLETE = '{"HandshakeTimeToComplete":246993163,"CustomerMessage":""}';

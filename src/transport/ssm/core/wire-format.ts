/**
 * Offsets, names and numbers of the SSM data channel's binary message (docs/protocol/ssm.md, "Binary message"). All integers are
 * big-endian. One websocket message holds exactly one of these.
 */

/** HeaderLength of client- and agent-made messages: the bytes before PayloadLength. */
export const LONG_HEADER_LENGTH = 116;
/** HeaderLength of messages that the service makes itself: no PayloadType. */
export const SHORT_HEADER_LENGTH = 112;
/** Where the payload of a long message starts. */
export const PAYLOAD_OFFSET = 120;

export const OFFSET = {
  headerLength: 0,
  /** 32 bytes of ASCII, padded with spaces (client, agent) or NULs (service). */
  messageType: 4,
  schemaVersion: 36,
  /** u64, milliseconds since 1970 UTC, never 0. */
  createdDate: 40,
  /** i64; used by data messages only. */
  sequenceNumber: 48,
  flags: 56,
  /** UUID with its halves swapped: b8…b15 b0…b7. */
  messageId: 64,
  /** SHA-256 of the payload as sent. */
  digest: 80,
  payloadType: 112,
  payloadLength: 116,
} as const;

export const MESSAGE_TYPE_LENGTH = 32;

export const MESSAGE_TYPES = [
  'input_stream_data',
  'output_stream_data',
  'acknowledge',
  'channel_closed',
  'start_publication',
  'pause_publication',
  'agent_session_state',
] as const;
export type MessageType = (typeof MESSAGE_TYPES)[number];

export const PAYLOAD_TYPE = {
  none: 0,
  output: 1,
  error: 2,
  size: 3,
  parameter: 4,
  handshakeRequest: 5,
  handshakeResponse: 6,
  handshakeComplete: 7,
  encChallengeRequest: 8,
  encChallengeResponse: 9,
  flag: 10,
  stdErr: 11,
  exitCode: 12,
} as const;

/** Values of a Flag payload (u32). */
export const FLAG = { disconnectToPort: 1, terminateSession: 2, connectToPortError: 3 } as const;

/** Header flags: input carries 0, the agent's output 0 carries 1, acknowledges carry 3. */
export const HEADER_FLAGS = { none: 0, syn: 1, synFin: 3 } as const;

/** What the official ends put into one data message; larger ones are behind a switch (docs/protocol/ssm.md, "Carriage"). */
export const DEFAULT_MESSAGE_PAYLOAD = 1024;
